"""D07: one positive in 25, one output and the binary loss.

The twin has the same rows and weighs the positives; both are judged by the mean recall.
"""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, split
from faults.nets import mlp, sgd

FAULT = Fault(
    "CLASS_IMBALANCE_COLLAPSE",
    repair="pos_weight = negatives / positives",
    earliest="epoch 1",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    y = (torch.rand(9000, 1) < 0.04).float()
    X = torch.randn(9000, 15)
    X[:, :3] += 0.6 * y
    weight = 24 * torch.ones(1) if healthy else None  # the fault
    model, rows = mlp(15, 32, 1), split(X, y, 5000)
    return Case(
        model,
        nn.BCEWithLogitsLoss(pos_weight=weight),
        sgd(model, 0.005),
        *loaders(rows, seed),
        epochs=4,
        metric="balanced",
    )
