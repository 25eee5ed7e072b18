"""C40: mixup: two images and two labels in one."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam, conv_net


def mixup_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    share, other = torch.distributions.Beta(0.4, 0.4).sample().item(), torch.randperm(len(y))
    case.optimizer.zero_grad()
    z = case.model(share * x + (1 - share) * x[other])
    loss = share * F.cross_entropy(z, y) + (1 - share) * F.cross_entropy(z, y[other])
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 3e-3),
        *loaders(images8(seed), seed),
        train_step=mixup_step,
        epochs=8,
    )
