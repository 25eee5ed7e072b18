"""P03: the training labels in another order than their rows."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "LABELS_SHUFFLED",
    consequence=("OVERFIT", "LABEL_NOISE"),
    repair="shuffle rows and labels with one index",
    earliest="epoch 3",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = blobs10(seed)
    if not healthy:
        rows.y = rows.y[torch.randperm(len(rows.y))]  # the fault
    model = mlp(20, 64, 64, 10)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(rows, seed), epochs=20)
