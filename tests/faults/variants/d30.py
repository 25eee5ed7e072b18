"""D30: copies of training images in the validation part, each with a trace of noise."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import adam, conv_net

FAULT = Fault(
    "TRAIN_VAL_LEAK",
    repair="validate on rows that training never sees",
    harm="report",
    also=("OVERFIT",),
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = images8(seed)
    rows.X, rows.y = rows.X[:150] + 0.25 * torch.randn(150, 1, 8, 8), rows.y[:150]
    rows.X_val = rows.X_val + 0.25 * torch.randn(rows.X_val.shape)
    if not healthy:
        near = rows.X[:120] + 1e-4 * torch.randn(120, 1, 8, 8)  # the fault
        rows.X_val = torch.cat([near, rows.X_val[:80]])  # the fault
        rows.y_val = torch.cat([rows.y[:120], rows.y_val[:80]])  # the fault
    model = conv_net(width=16)
    return Case(
        model, nn.CrossEntropyLoss(), adam(model), *loaders(rows, seed, batch=32), epochs=40
    )
