"""V02: the focal loss, a function of one's own, on rare positives."""

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case
from faults.data import loaders, split
from faults.nets import adam, mlp


def focal(outputs: Tensor, targets: Tensor) -> Tensor:
    p = torch.sigmoid(outputs)
    right = torch.where(targets > 0.5, p, 1 - p)
    weight = torch.where(targets > 0.5, 0.75, 0.25)
    losses = F.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    return (weight * (1 - right) ** 2 * losses).mean()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    y = (torch.rand(4000, 1) < 0.15).float()
    X = torch.randn(4000, 12)
    X[:, :4] += 1.6 * y
    model, rows = mlp(12, 32, 1), split(X, y, 3000)
    return Case(model, focal, adam(model, 3e-3), *loaders(rows, seed), epochs=8, metric="balanced")
