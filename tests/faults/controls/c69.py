"""C69: mixup begins in mid-run: the training loss is several times as high from then on."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case, step
from faults.data import images8, loaders
from faults.nets import adam, conv_net


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    loader, val = loaders(images8(seed), seed)
    steps = 0

    def mixed(case: Case, batch: Any) -> Tensor:
        nonlocal steps
        steps += 1
        if steps <= 6 * len(loader):
            return step(case, batch)
        x, y = batch
        other, share = torch.randperm(len(x)), 0.3 + 0.4 * float(torch.rand(1))
        case.optimizer.zero_grad()
        z = case.model(share * x + (1 - share) * x[other])
        loss = share * F.cross_entropy(z, y) + (1 - share) * F.cross_entropy(z, y[other])
        loss.backward()
        case.optimizer.step()
        return loss.detach()

    optimizer = adam(model, 3e-3)
    return Case(model, F.cross_entropy, optimizer, loader, val, train_step=mixed, epochs=14)
