"""C49: adversarial training: the batch is moved up its own gradient before each step (FGSM)."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders, tab12
from faults.nets import mlp, sgd


def fgsm(case: Case, batch: Any) -> Tensor:
    x, y = batch
    x = x.clone().requires_grad_()
    case.loss_fn(case.model(x), y).backward()
    assert x.grad is not None
    moved = (x + 0.1 * x.grad.sign()).detach()
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(moved), y)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(12, 64, 2)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model, 0.02),
        *loaders(tab12(seed), seed),
        train_step=fgsm,
        epochs=6,
    )
