"""S11: Adam with weight_decay=0.1 where AdamW was meant: the penalty goes through the gradient."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.real import passages, words

FAULT = Fault(
    "WEIGHT_DECAY_TOO_LARGE",
    consequence=("INIT_TOO_SMALL", "VANISHING_GRADIENT", "LR_TOO_LOW", "INPUT_IGNORED"),
    repair="AdamW",
    earliest="step 100",
)


class TextCnn(nn.Module):
    """Filters over two and three words, and the largest answer of each (Kim 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32)
        self.convs = nn.ModuleList(nn.Conv1d(32, 32, k) for k in (2, 3))
        self.fc = nn.Linear(64, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        e = self.embedding(tokens).transpose(1, 2)
        return self.fc(torch.cat([torch.relu(conv(e)).amax(2) for conv in self.convs], 1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = TextCnn()
    kind = torch.optim.AdamW if healthy else torch.optim.Adam  # the fault
    optimizer = kind(model.parameters(), 3e-3, weight_decay=0.1)
    rows = loaders(passages(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=6)
