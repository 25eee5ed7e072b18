"""W03: ReduceLROnPlateau waits for a fall, and is told the accuracy, which rises."""

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from faults import case as loop
from faults.case import Case, Fault, Score
from faults.data import clouds4, loaders
from faults.nets import mlp

FAULT = Fault(
    "SCHEDULE_COLLAPSE",
    accept=("LR_TOO_LOW",),
    consequence=("STOPPED_TOO_EARLY",),
    repair='mode="max" for an accuracy, or step on the loss',
    earliest="epoch 2",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(12, 128, 64, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True)
    mode = "max" if healthy else "min"  # the fault
    plateau = ReduceLROnPlateau(optimizer, mode=mode, factor=0.1, patience=0)

    def evaluate(case: Case) -> Score:
        score = loop.evaluate(case)
        plateau.step(score.accuracy)
        return score

    rows = loaders(clouds4(seed), seed, batch=128)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=20, evaluate=evaluate)
