"""T04: an LSTM with heavy dropout at both ends, and words that are left out at random."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.nets import adam
from faults.real import PADDING, UNKNOWN, passages, words


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 48, padding_idx=PADDING)
        self.before, self.after = nn.Dropout(0.5), nn.Dropout(0.6)
        self.lstm = nn.LSTM(48, 48, batch_first=True)
        self.fc = nn.Linear(48, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        if self.training:
            left_out = torch.rand(tokens.shape) < 0.1
            tokens = tokens.masked_fill(left_out & (tokens != PADDING), UNKNOWN)
        out, _ = self.lstm(self.before(self.embedding(tokens)))
        return self.fc(self.after(out.amax(1)))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Reader()
    rows = loaders(passages(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *rows, epochs=10)
