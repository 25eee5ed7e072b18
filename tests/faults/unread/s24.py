"""S24: ReduceLROnPlateau is told the loss of each batch: within an epoch the rate is gone."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, Score, evaluate, step
from faults.data import loaders
from faults.nets import sgd
from faults.real import fashion

FAULT = Fault(
    "SCHEDULE_COLLAPSE",
    consequence=("LR_TOO_LOW", "STOPPED_TOO_EARLY"),
    repair="scheduler.step(validation loss) once an epoch",
    earliest="step 20",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 9, 10),
    )
    optimizer = sgd(model, 0.01)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=2)

    def each_batch(case: Case, batch: Any) -> Tensor:
        loss = step(case, batch)
        plateau.step(float(loss))  # the fault
        return loss

    def each_epoch(case: Case) -> Score:
        score = evaluate(case)
        plateau.step(score.loss)
        return score

    rows = loaders(fashion(seed), seed, batch=32)
    case = Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=6)
    if healthy:
        case.evaluate = each_epoch
    else:
        case.train_step = each_batch
    return case
