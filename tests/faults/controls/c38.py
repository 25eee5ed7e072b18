"""C38: an LSTM with clipped gradients."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders, waves3
from faults.nets import adam


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, 24, batch_first=True), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0].mean(1))


def clipped_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(case.model.parameters(), 1.0)
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Lstm()
    return Case(
        model,
        F.cross_entropy,
        adam(model, 0.01),
        *loaders(waves3(seed), seed),
        train_step=clipped_step,
        epochs=12,
    )
