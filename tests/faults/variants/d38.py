"""D38: from the seventh epoch on a transform that was added late divides nothing by 255."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "LEARNING_LOST",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU"),
    repair="the same pixels all along",
    earliest="after the change",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    loader, val = loaders(images8(seed), seed)
    steps = 0

    def changed(case: Case, batch: Any) -> Tensor:
        nonlocal steps
        steps += 1
        x, y = batch
        if steps > 7 * len(loader) and not healthy:
            x = 255 * x  # the fault
        return step(case, (x, y))

    optimizer = sgd(model, 0.02)
    return Case(model, nn.CrossEntropyLoss(), optimizer, loader, val, train_step=changed, epochs=12)
