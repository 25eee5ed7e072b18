"""C41: forward and loss in bfloat16 by autocast."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import adam, mlp


def autocast_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    case.optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = case.loss_fn(case.model(x), y)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 2e-3),
        *loaders(digits8(seed), seed),
        train_step=autocast_step,
    )
