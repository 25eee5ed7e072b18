"""T14: truncated backpropagation: a long text in pieces, whose state goes on to the next piece."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from faults.case import Case, Score
from faults.nets import adam
from faults.real import characters, encoded


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), 24)
        self.gru = nn.GRU(24, 64, batch_first=True)
        self.fc = nn.Linear(64, characters())
        self.state: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        start = self.state if self.training else None
        out, state = self.gru(self.embedding(x), start)
        if self.training:
            self.state = state.detach()
        return self.fc(out)


def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def pieces(text: Tensor, streams: int = 16, length: int = 24) -> TensorDataset:
    """Rows in such an order that row i of each batch goes on where row i of the last one ended."""
    n = (len(text) - 1) // (streams * length)
    x, y = (
        t.reshape(streams, n, length).transpose(0, 1).reshape(-1, length)
        for t in (text[: streams * n * length], text[1 : streams * n * length + 1])
    )
    return TensorDataset(x.contiguous(), y.contiguous())


def evaluate(case: Case) -> Score:
    case.model.eval()
    with torch.no_grad():
        parts = [(case.model(x), y) for x, y in case.val_loader]
    z, y = (torch.cat(part) for part in zip(*parts, strict=True))
    return Score(loss_fn(z, y).item(), (z.argmax(2) == y).float().mean().item())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    text, start = encoded()[0], 1000 * seed
    train = DataLoader(pieces(text[start : start + 16_000]), 16)
    val = DataLoader(pieces(text[300_000:307_000]), 100)
    model = Language()

    def stateful(case: Case, batch: Any) -> Tensor:
        x, y = batch
        case.optimizer.zero_grad()
        loss = loss_fn(case.model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(case.model.parameters(), 1.0)
        case.optimizer.step()
        return loss.detach()

    optimizer = adam(model, 5e-3)
    return Case(model, loss_fn, optimizer, train, val, 5, train_step=stateful, evaluate=evaluate)
