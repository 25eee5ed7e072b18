"""D03: sequences that were shuffled without their labels, read by a GRU."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam

FAULT = Fault(
    "LABELS_SHUFFLED",
    consequence=("OVERFIT", "LABEL_NOISE"),
    repair="shuffle rows and labels with one index",
    earliest="epoch 3",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = waves3(seed)
    if not healthy:
        rows.X = rows.X[torch.randperm(len(rows.X))]  # the fault
    model = Recurrent(width=32)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 0.01), *loaders(rows, seed), epochs=12)
