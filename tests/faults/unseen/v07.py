"""V07: sharpness-aware minimisation: two forward and backward passes a step."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def sharp_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    parameters = [p for p in case.model.parameters() if p.requires_grad]
    case.optimizer.zero_grad()
    first = case.loss_fn(case.model(x), y)
    first.backward()
    norm = torch.stack([p.grad.norm() for p in parameters]).norm()
    moves = [0.05 * p.grad / (norm + 1e-12) for p in parameters]
    with torch.no_grad():
        for p, e in zip(parameters, moves, strict=True):
            p.add_(e)
    case.optimizer.zero_grad()
    case.loss_fn(case.model(x), y).backward()
    with torch.no_grad():
        for p, e in zip(parameters, moves, strict=True):
            p.sub_(e)
    case.optimizer.step()
    return first.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    return Case(
        model,
        F.cross_entropy,
        sgd(model, 0.05),
        *loaders(blobs10(seed), seed),
        train_step=sharp_step,
        epochs=5,
    )
