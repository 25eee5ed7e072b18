"""C34: two optimizers: Adam for the body, plain descent for the head."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam, conv_net, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(conv_net()[:-1], nn.Linear(256, 10))
    both = [adam(model[0], 2e-3), sgd(model[1], lr=0.05, momentum=0.0)]

    def step_of_two(case: Case, batch: Any) -> Tensor:
        x, y = batch
        for optimizer in case.optimizer:
            optimizer.zero_grad()
        loss = case.loss_fn(case.model(x), y)
        loss.backward()
        for optimizer in case.optimizer:
            optimizer.step()
        return loss.detach()

    return Case(
        model,
        nn.CrossEntropyLoss(),
        both,
        *loaders(images8(seed), seed),
        train_step=step_of_two,
        epochs=8,
    )
