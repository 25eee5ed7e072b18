"""S05: a GRU's last state is taken after the padding, of which there is far more than text."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import Rows, loaders
from faults.nets import adam
from faults.real import PADDING, passages, words

FAULT = Fault(
    "INPUT_IGNORED",
    accept=("VANISHING_GRADIENT", "INIT_TOO_SMALL"),
    consequence=("LR_TOO_LOW", "LABELS_SHUFFLED"),
    repair="the state at the last word, or pack_padded_sequence",
)


class Reader(nn.Module):
    def __init__(self, at_last_word: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 24, padding_idx=PADDING)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.fc = nn.Linear(32, 6)
        self.at_last_word = at_last_word

    def forward(self, tokens: Tensor) -> Tensor:
        out, _ = self.gru(self.embedding(tokens))
        if not self.at_last_word:
            return self.fc(out[:, -1])  # the fault
        last = (tokens != PADDING).sum(1) - 1
        return self.fc(out[torch.arange(len(tokens)), last])


def padded(rows: Rows, length: int) -> Rows:
    rows.X, rows.X_val = (
        F.pad(X, (0, length - X.shape[1]), value=PADDING) for X in (rows.X, rows.X_val)
    )
    return rows


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Reader(at_last_word=healthy)
    rows = loaders(padded(passages(seed, train=1000, val=400), 80), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *rows, epochs=8)
