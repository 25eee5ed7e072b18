"""T26: fine-tuning: a GRU that guessed characters goes on to tell text from text turned round."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.real import characters, windows


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), 16)
        self.gru = nn.GRU(16, 32, batch_first=True)
        self.fc = nn.Linear(32, characters())

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.gru(self.embedding(x))[1][0])


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = windows(seed, train=4000, val=600)
    model = Reader()
    learner = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in zip(rows.X.split(100), rows.y.split(100), strict=True):
        learner.zero_grad()
        F.cross_entropy(model(x), y).backward()
        learner.step()
    g = torch.Generator().manual_seed(seed)
    for X, y in ((rows.X, rows.y), (rows.X_val, rows.y_val)):
        y.copy_(torch.randint(2, y.shape, generator=g))
        X[y == 1] = X[y == 1].flip(1)
    model.fc = nn.Linear(32, 2)
    groups = [
        {"params": model.fc.parameters(), "lr": 1e-2},
        {"params": [*model.gru.parameters(), *model.embedding.parameters()], "lr": 5e-3},
    ]
    optimizer = torch.optim.AdamW(groups)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(rows, seed), epochs=8)
