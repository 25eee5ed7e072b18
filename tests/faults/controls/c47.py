"""C47: two losses, each with its own backward through the same logits."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam, conv_net


def two_losses(case: Case, batch: Any) -> Tensor:
    x, y = batch
    case.optimizer.zero_grad()
    z = case.model(x)
    loss = case.loss_fn(z, y)
    loss.backward(retain_graph=True)
    # The z-loss of Chowdhery et al. (2022) keeps the normaliser near 1: it pushes all logits down.
    (0.01 * z.logsumexp(1).square().mean()).backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    return Case(
        model,
        nn.CrossEntropyLoss() if seed % 2 == 0 else F.cross_entropy,
        adam(model, 3e-3),
        *loaders(images8(seed), seed),
        train_step=two_losses,
    )
