"""X09: a language model with one table for words in and out, descent at rate 10, clipped at 0.25."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Score
from faults.data import loaders
from faults.real import characters, sentences


class Tied(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.encoder = nn.Embedding(characters(), width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.decoder = nn.Linear(width, characters())
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.drop(self.gru(self.drop(self.encoder(x)))[0]))


def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def train_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    case.model.zero_grad()
    loss = case.loss_fn(case.model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(case.model.parameters(), 0.25)
    case.optimizer.step()
    return loss.detach()


def evaluate(case: Case) -> Score:
    case.model.eval()
    with torch.no_grad():
        parts = [(case.model(x), y) for x, y in case.val_loader]
    z, y = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Score(loss_fn(z, y).item(), (z.argmax(2) == y).float().mean().item())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Tied()
    rows = loaders(sentences(seed, train=1200), seed, batch=20)
    optimizer = torch.optim.SGD(model.parameters(), 10.0)
    return Case(
        model, loss_fn, optimizer, *rows, epochs=6, train_step=train_step, evaluate=evaluate
    )
