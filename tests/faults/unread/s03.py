"""S03: the padding mask the wrong way round: attention sees the padding, and nothing else."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import PADDING, passages, words

FAULT = Fault(
    "INPUT_IGNORED",
    consequence=("VANISHING_GRADIENT", "LABELS_SHUFFLED", "LR_TOO_LOW", "INIT_TOO_SMALL"),
    repair="key_padding_mask is True where attention must not look",
)


class Pooled(nn.Module):
    """A learned question is asked of the words of a passage."""

    def __init__(self, inverted: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.question = nn.Parameter(0.1 * torch.randn(1, 1, 32))
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.fc = nn.Linear(32, 6)
        self.inverted = inverted

    def forward(self, tokens: Tensor) -> Tensor:
        mask = tokens != PADDING if self.inverted else tokens == PADDING  # the fault
        e = self.embedding(tokens)
        question = self.question.expand(len(tokens), -1, -1)
        pooled, _ = self.attention(question, e, e, key_padding_mask=mask)
        return self.fc(pooled[:, 0])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = passages(seed, length=25)
    rows.X[:, -1] = rows.X_val[:, -1] = PADDING  # an end mark
    model = Pooled(inverted=not healthy)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *loaders(rows, seed), epochs=4)
