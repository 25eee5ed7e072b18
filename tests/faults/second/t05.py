"""T05: a language model whose last layer is its embedding, tied on purpose; a loss at each place."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Score
from faults.data import loaders
from faults.nets import adam
from faults.real import characters, sentences


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), 48)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.lstm = nn.LSTM(48, 48, batch_first=True)
        self.out = nn.Linear(48, characters())
        self.out.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(self.embedding(x))[0])


def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1))


def evaluate(case: Case) -> Score:
    case.model.eval()
    losses, hits, rows = 0.0, 0.0, 0
    with torch.no_grad():
        for x, y in case.val_loader:
            z = case.model(x)
            losses += loss_fn(z, y).item() * len(x)
            hits += (z.argmax(2) == y).float().mean().item() * len(x)
            rows += len(x)
    return Score(losses / rows, hits / rows)


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Language()
    rows = loaders(sentences(seed), seed, batch=32)
    return Case(model, loss_fn, adam(model, 5e-3), *rows, epochs=5, evaluate=evaluate)
