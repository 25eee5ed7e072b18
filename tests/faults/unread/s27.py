"""S27: passages section after section, as they were read, and shuffle was left at False."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import PADDING, passages, words

FAULT = Fault(
    "UNSHUFFLED_SORTED",
    consequence=("LR_TOO_HIGH", "OVERFIT"),
    repair="shuffle=True",
)


class Reader(nn.Module):
    """An LSTM that does not read the padding, as packed sequences have it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.lstm = nn.LSTM(32, 32, batch_first=True)
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != PADDING).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.lstm(packed)
        return self.fc(hidden[-1])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = passages(seed)
    rows.keep(rows.y.argsort(stable=True))
    model = Reader()
    loaded = loaders(rows, seed, batch=32, shuffle=healthy)  # the fault
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *loaded, epochs=5)
