"""S08: each part numbers its 100 classes by itself, in the order in which they come."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_pairs

FAULT = Fault(
    "VAL_LABELS_MISMATCH",
    consequence=("OVERFIT",),
    repair="one numbering, made of the training labels",
    harm="report",
)


def numbered(y: Tensor, names: list[int]) -> Tensor:
    number = {name: i for i, name in enumerate(names)}
    return torch.tensor([number[name] for name in y.tolist()])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = digit_pairs(seed)
    names = list(dict.fromkeys(rows.y.tolist()))
    own = list(dict.fromkeys(rows.y_val.tolist()))
    rows.y = numbered(rows.y, names)
    rows.y_val = numbered(rows.y_val, names if healthy else own)  # the fault
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 32, 128),
        nn.ReLU(),
        nn.Linear(128, 100),
    )
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *loaders(rows, seed), epochs=6)
