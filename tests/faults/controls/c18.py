"""C18: the learning rate warms up from 1e-6 over 300 steps."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, step
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    optimizer = sgd(model)
    warm_up = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: min(1.0, 1e-5 * (1e5 ** (t / 300)))
    )

    def warm_step(case: Case, batch: Any) -> Tensor:
        loss = step(case, batch)
        warm_up.step()
        return loss

    return Case(
        model, nn.CrossEntropyLoss(), optimizer, *loaders(blobs10(seed), seed), train_step=warm_step
    )
