"""S09: layers that are thawed in mid-run, of which the optimizer was never told."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import loaders
from faults.real import fashion

FAULT = Fault(
    "PARAMS_NOT_IN_OPTIMISER",
    consequence=("LR_TOO_LOW",),
    repair="optimizer.add_param_group for the thawed layers",
    earliest="step 24",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    backbone = nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    model = nn.Sequential(backbone, nn.Linear(24, 10))
    for p in backbone.parameters():
        p.requires_grad = False
    trained = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.Adam(trained, 1e-2)
    steps = 0

    def thawing(case: Case, batch: Any) -> Tensor:
        nonlocal steps
        if steps == 24:
            for p in backbone.parameters():
                p.requires_grad = True
            if healthy:
                optimizer.add_param_group({"params": list(backbone.parameters())})  # the fault
        steps += 1
        return step(case, batch)

    rows = loaders(fashion(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=8, train_step=thawing)
