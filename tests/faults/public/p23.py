"""P23: validation in train mode: dropout and the batch's own statistics are in the figures."""

import torch
from torch import nn

from faults.case import Case, Fault, evaluate, score
from faults.data import loaders, moons2
from faults.nets import sgd

FAULT = Fault(
    "EVAL_IN_TRAIN_MODE",
    repair="model.eval() before the validation",
    earliest="epoch 1",
    harm="report",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(64, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(64, 2),
    )
    evaluation = evaluate if healthy else score  # the fault: score alone never calls model.eval()
    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model),
        *loaders(moons2(seed), seed, val_batch=4),
        evaluate=evaluation,
    )
