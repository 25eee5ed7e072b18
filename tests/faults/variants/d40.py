"""D40: the outputs of all minibatches are kept for a curve, with the graphs that made them."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "GRAPH_KEPT",
    repair="losses.append(loss.item())",
    earliest="step 24",
    harm="memory",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net(width=16)
    losses: list[Any] = []

    def train_step(case: Case, batch: Any) -> Tensor:
        x, y = batch
        case.optimizer.zero_grad()
        z = case.model(x)
        loss = case.loss_fn(z, y) + 1e-4 * z.square().mean()
        loss.backward(retain_graph=not healthy)  # the fault: for a penalty that has gone since
        losses.append(loss.item() if healthy else loss)  # the fault
        case.optimizer.step()
        return loss.detach()

    loaded = loaders(images8(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), *loaded, 10, train_step=train_step)
