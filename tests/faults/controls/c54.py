"""C54: a generator against the classifier; each has its optimizer, and they take turns."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import adam, mlp

FAKE = 10


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model, generator = mlp(20, 64, 11), mlp(8, 32, 20)
    of_generator = adam(generator, 2e-4)

    def turns(case: Case, batch: Any) -> Tensor:
        x, y = batch
        made, fake = generator(torch.randn(len(x), 8)), torch.full_like(y, FAKE)
        case.optimizer.zero_grad()
        loss = case.loss_fn(case.model(x), y)
        loss.backward()
        case.loss_fn(case.model(made.detach()), fake).backward()
        case.optimizer.step()
        of_generator.zero_grad()
        (-case.loss_fn(case.model(made), fake)).backward()
        of_generator.step()
        return loss.detach()

    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 3e-3),
        *loaders(blobs10(seed), seed),
        train_step=turns,
        epochs=10,
    )
