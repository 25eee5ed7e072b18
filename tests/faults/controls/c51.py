"""C51: virtual adversarial training: what the net says of a row is held steady around it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders, moons2
from faults.nets import adam


def divergence(z: Tensor, p: Tensor) -> Tensor:
    return F.kl_div(z.log_softmax(1), p, reduction="batchmean")


def virtual(case: Case, batch: Any) -> Tensor:
    x, y = batch
    with torch.no_grad():
        p = case.model(x).softmax(1)
    d = F.normalize(torch.randn_like(x)).requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(case.model(x + 0.01 * d), p), d)
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(x), y)
    loss = loss + divergence(case.model(x + 0.1 * F.normalize(gradient)), p)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Linear(2, 32), nn.BatchNorm1d(32), nn.ReLU()),
        *(nn.Linear(32, 32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 2)),
    )
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 5e-3),
        *loaders(moons2(seed), seed),
        train_step=virtual,
    )
