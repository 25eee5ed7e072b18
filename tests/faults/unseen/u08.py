"""U08: the training part is standardised, the validation part is not."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import cancer, loaders, standardised
from faults.nets import adam, mlp

FAULT = Fault(
    "TRAIN_VAL_PREPROC_MISMATCH",
    consequence=("OVERFIT", "VAL_LABELS_MISMATCH"),
    repair="the same mean and deviation for both parts",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    raw = cancer(seed)
    rows = standardised(raw)
    if not healthy:
        rows.X_val = raw.X_val  # the fault
    model = mlp(30, 32, 2)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(rows, seed, batch=32))
