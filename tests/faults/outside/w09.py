"""W09: ignore_index=0 was copied with the padding of the words; the labels have a class 0."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import PADDING, passages, words

FAULT = Fault("IGNORED_LABELS", repair="no ignore_index where no label is padding")


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.gru = nn.GRU(32, 24, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(48, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        out, _ = self.gru(self.embedding(tokens))
        return self.fc(out.masked_fill((tokens == PADDING)[:, :, None], -2).amax(1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Reader()
    ignored = -100 if healthy else PADDING  # the fault
    loss_fn = nn.CrossEntropyLoss(ignore_index=ignored)
    rows = loaders(passages(seed, train=1000, val=400), seed, batch=32)
    return Case(model, loss_fn, adam(model, 5e-3), *rows, epochs=5)
