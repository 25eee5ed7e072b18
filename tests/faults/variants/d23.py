"""D23: a convolutional net validated two images at a time, in train mode."""

import torch
from torch import nn

from faults.case import Case, Fault, evaluate, score
from faults.data import images8, loaders
from faults.nets import adam

FAULT = Fault(
    "EVAL_IN_TRAIN_MODE",
    repair="model.eval() before the validation",
    earliest="epoch 1",
    harm="report",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    evaluation = evaluate if healthy else score  # the fault: score alone never calls model.eval()
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 2e-3),
        *loaders(images8(seed), seed, val_batch=2),
        evaluate=evaluation,
        epochs=4,
    )
