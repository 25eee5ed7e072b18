"""C68: a curriculum: clear images first, from the sixth epoch on ones with much noise."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, step
from faults.data import images8, loaders
from faults.nets import conv_net, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = images8(seed)
    model = conv_net()
    loader, val = loaders(rows, seed)
    steps = 0

    def harder(case: Case, batch: Any) -> Tensor:
        nonlocal steps
        steps += 1
        x, y = batch
        if steps > 6 * len(loader):
            x = x + 0.35 * torch.randn(x.shape)
        return step(case, (x, y))

    optimizer = sgd(model, 0.05)
    return Case(model, nn.CrossEntropyLoss(), optimizer, loader, val, train_step=harder, epochs=14)
