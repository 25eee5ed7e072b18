"""T01: packed passages of many lengths, a GRU of two layers, gradients clipped by value."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from faults.case import Case
from faults.data import loaders
from faults.real import PADDING, passages, words


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.gru = nn.GRU(32, 32, num_layers=2, batch_first=True, dropout=0.2)
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != PADDING).sum(1).cpu()
        e = self.embedding(tokens)
        packed = pack_padded_sequence(e, lengths, batch_first=True, enforce_sorted=False)
        return self.fc(self.gru(packed)[1][-1])


def clipped(case: Case, batch: Any) -> Tensor:
    tokens, labels = batch
    case.optimizer.zero_grad(set_to_none=False)
    loss = case.loss_fn(case.model(tokens), labels)
    loss.backward()
    nn.utils.clip_grad_value_(case.model.parameters(), 0.1)
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3, amsgrad=True)
    rows = loaders(passages(seed, train=1000), seed, batch=32)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=6, train_step=clipped)
