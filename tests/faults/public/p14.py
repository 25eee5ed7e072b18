"""P14: a probability into the binary loss that takes logits."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, moons2
from faults.nets import mlp, sgd

FAULT = Fault(
    "LOSS_EXPECTS_LOGITS",
    accept=("SIGMOID_BEFORE_BCEWITHLOGITS",),
    consequence=("LR_TOO_LOW",),
    repair="no sigmoid in the model",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = moons2(seed)
    rows.y, rows.y_val = rows.y[:, None].float(), rows.y_val[:, None].float()
    model, threshold = mlp(2, 64, 64, 1), 0.0
    if not healthy:
        model.append(nn.Sigmoid())  # the fault
        threshold = 0.5  # the fault
    loss = nn.BCEWithLogitsLoss()
    return Case(model, loss, sgd(model), *loaders(rows, seed), threshold=threshold)
