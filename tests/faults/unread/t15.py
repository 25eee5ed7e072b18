"""T15: passages as long as they are; a collate function pads each batch and gives the lengths too."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

from faults.case import Case, Score
from faults.nets import adam
from faults.real import PADDING, passages, words


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.lstm = nn.LSTM(32, 32, batch_first=True)
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(
            self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        return self.fc(self.lstm(packed)[1][0][-1])


def collate(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    texts = [tokens for tokens, _ in pairs]
    lengths = torch.tensor([len(text) for text in texts])
    padded = pad_sequence(texts, batch_first=True, padding_value=PADDING)
    return padded, lengths, torch.stack([label for _, label in pairs])


def train_step(case: Case, batch: Any) -> Tensor:
    tokens, lengths, labels = batch
    loss = case.loss_fn(case.model(tokens, lengths), labels)
    case.optimizer.zero_grad()
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def evaluate(case: Case) -> Score:
    case.model.eval()
    losses, hits, rows = 0.0, 0, 0
    with torch.no_grad():
        for tokens, lengths, labels in case.val_loader:
            z = case.model(tokens, lengths)
            losses += case.loss_fn(z, labels).item() * len(labels)
            hits += int((z.argmax(1) == labels).sum())
            rows += len(labels)
    return Score(losses / rows, hits / rows)


def pairs(X: Tensor, y: Tensor) -> list[Any]:
    return [(x[x != PADDING], label) for x, label in zip(X, y, strict=True)]


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows, order = passages(seed), torch.Generator().manual_seed(seed)
    data = pairs(rows.X, rows.y)
    train = DataLoader(data, 32, shuffle=True, generator=order, collate_fn=collate)
    val = DataLoader(pairs(rows.X_val, rows.y_val), 100, collate_fn=collate)
    model, loss_fn = Reader(), nn.CrossEntropyLoss()
    optimizer = adam(model, 5e-3)
    return Case(model, loss_fn, optimizer, train, val, 6, train_step=train_step, evaluate=evaluate)
