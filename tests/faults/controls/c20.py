"""C20: gradients of four batches are added up before a step."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    done = 0

    def accumulating_step(case: Case, batch: Any) -> Tensor:
        nonlocal done
        x, y = batch
        loss = case.loss_fn(case.model(x), y) / 4
        loss.backward()
        done += 1
        if done % 4 == 0:
            case.optimizer.step()
            case.optimizer.zero_grad()
        return loss.detach() * 4

    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model),
        *loaders(blobs10(seed), seed, batch=16),
        train_step=accumulating_step,
        epochs=5,
    )
