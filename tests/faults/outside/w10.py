"""W10: src_key_padding_mask is given a mask of the words that are there, as Hugging Face has it."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import Rows, loaders
from faults.nets import adam
from faults.real import PADDING, passages, words

FAULT = Fault("INPUT_IGNORED", repair="True where the padding is")


class Encoder(nn.Module):
    """The answer is read at a first place of its own."""

    def __init__(self, inverted: bool) -> None:
        super().__init__()
        self.inverted = inverted
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        attention_mask = tokens != PADDING
        attention_mask = torch.cat([torch.ones_like(attention_mask[:, :1]), attention_mask], 1)
        mask = attention_mask if self.inverted else ~attention_mask  # the fault
        h = torch.cat([self.cls.expand(len(tokens), -1, -1), self.embedding(tokens)], 1)
        return self.fc(self.encoder(h, src_key_padding_mask=mask)[:, 0])


def padded(rows: Rows) -> Rows:
    """One place more, so that every row has some padding."""
    rows.X, rows.X_val = (nn.functional.pad(X, (0, 1), value=PADDING) for X in (rows.X, rows.X_val))
    return rows


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Encoder(inverted=not healthy)
    rows = loaders(padded(passages(seed, train=1000, val=400)), seed, batch=32)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *rows, epochs=6)
