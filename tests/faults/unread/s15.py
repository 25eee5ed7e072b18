"""S15: model.eval() before the loop and never train(): batch norm stays as it was made."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import loaders
from faults.nets import sgd
from faults.real import fashion

FAULT = Fault(
    "TRAIN_IN_EVAL_MODE",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "EXPLODING_GRADIENT"),
    repair="model.train() before the steps of each epoch",
    earliest="step 1",
)


def block(into: int, out: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(into, out, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


def forgotten(case: Case, batch: Any) -> Tensor:
    case.model.eval()  # the fault: as the last validation left it
    return step(case, batch)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    blocks = [block(1, 12, 2), block(12, 24, 1), block(24, 24, 2), block(24, 32, 1)]
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    optimizer = sgd(model, 0.02)
    case = Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(fashion(seed), seed), 6)
    case.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
    if not healthy:
        case.train_step = forgotten
    return case
