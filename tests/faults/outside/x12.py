"""X12: an encoder learns by pairs (supervised contrast); the head sees its answer detached."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import adam, mlp


class Contrast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = mlp(64, 128, 64)
        self.projection = mlp(64, 32)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).detach())

    def contrast(self, x: Tensor, y: Tensor) -> Tensor:
        z = F.normalize(self.projection(F.relu(self.encoder(x))), dim=1)
        itself = torch.eye(len(z), dtype=torch.bool)
        log_p = (z @ z.T / 0.2).masked_fill(itself, -1e9).log_softmax(1)
        same = (y[:, None] == y) & ~itself
        return -((log_p * same).sum(1) / same.sum(1).clamp_min(1)).mean()


def train_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(x), y)
    (loss + case.model.contrast(x, y)).backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Contrast()
    rows, loss_fn = loaders(digits8(seed), seed, batch=96), nn.CrossEntropyLoss()
    return Case(model, loss_fn, adam(model, 3e-3), *rows, epochs=16, train_step=train_step)
