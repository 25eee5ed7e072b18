"""X08: an LSTM that reads times first, as its forward sees to; each gradient is clipped to 0.02."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_rows


class RowReader(nn.Module):
    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, hidden)
        self.fc = nn.Linear(hidden, 10)
        for name, p in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.zeros_(p)
                nn.init.constant_(p[hidden : 2 * hidden], 0.5)
            elif "hh" in name:
                nn.init.orthogonal_(p)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x.transpose(0, 1))
        return self.fc(out[-1])


def clipped(case: Case, batch: Any) -> Tensor:
    x, y = batch
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(case.model.parameters(), 0.02)
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = RowReader()
    rows, loss_fn = loaders(digit_rows(seed), seed), nn.CrossEntropyLoss()
    return Case(model, loss_fn, adam(model, 5e-3), *rows, epochs=16, train_step=clipped)
