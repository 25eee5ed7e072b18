"""C50: projected gradient descent on the images, ten attacks a step with the loss turned round."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam, conv_net


def attacked(case: Case, batch: Any) -> Tensor:
    x, y = batch
    moved = torch.zeros_like(x)
    for _ in range(10):
        moved.requires_grad_()
        negative = -case.loss_fn(case.model(x + moved), y)
        (gradient,) = torch.autograd.grad(negative, moved)
        moved = (moved.detach() - 0.02 * gradient.sign()).clamp(-0.1, 0.1)
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(x + moved), y)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    return Case(
        model,
        F.cross_entropy,
        adam(model, 3e-3),
        *loaders(images8(seed), seed),
        train_step=attacked,
        epochs=5,
    )
