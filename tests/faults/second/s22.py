"""S22: two passages are empty: all of their words are masked, and the softmax is over nothing."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import PADDING, passages, words

FAULT = Fault(
    "PREMATURE_NAN",
    accept=("NONFINITE_WEIGHTS", "NONFINITE_INPUT"),
    repair="leave empty passages out",
    earliest="epoch 1",
)


class Scored(nn.Module):
    """Each word gets a score, and the mean of the words is weighed by the scores' softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.score = nn.Sequential(nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 1))
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        e = self.embedding(tokens)
        scores = self.score(e).squeeze(2).masked_fill(tokens == PADDING, float("-inf"))
        return self.fc((scores.softmax(1)[:, :, None] * e).sum(1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = passages(seed)
    if not healthy:
        rows.X[[400, 1100]] = PADDING  # the fault
    model = Scored()
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *loaders(rows, seed), epochs=6)
