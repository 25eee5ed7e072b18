"""T07: an LSTM on characters; the gradients of four small batches make one step."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.nets import adam
from faults.real import characters, windows


class NextCharacter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), 16)
        self.lstm = nn.LSTM(16, 48, batch_first=True)
        self.fc = nn.Linear(48, characters())

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(self.embedding(x))[0][:, -1])


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    batches = 0

    def accumulated(case: Case, batch: Any) -> Tensor:
        nonlocal batches
        x, y = batch
        loss = case.loss_fn(case.model(x), y)
        (loss / 4).backward()
        batches += 1
        if batches % 4 == 0:
            case.optimizer.step()
            case.optimizer.zero_grad()
        return loss.detach()

    model = NextCharacter()
    rows = loaders(windows(seed, train=3000, val=800), seed, batch=16)
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, adam(model, 1e-2), *rows, epochs=5, train_step=accumulated)
