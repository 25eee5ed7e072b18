"""C57: sharpness-aware minimisation: up, and from there down, two backward passes a step."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders, spiral3
from faults.nets import mlp


class SAM(torch.optim.Optimizer):
    """Foret et al. (2021), in the form that is passed round: two methods in place of step()."""

    def __init__(self, params: Any, lr: float, rho: float = 0.05) -> None:
        super().__init__(params, {"rho": rho, "lr": lr})
        self.base = torch.optim.SGD(self.param_groups, lr, momentum=0.9)

    @torch.no_grad()
    def first_step(self) -> None:
        held = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in held]).norm()
        for p in held:
            self.state[p]["up"] = up = p.grad * (self.defaults["rho"] / norm)
            p.add_(up)
        self.zero_grad()

    @torch.no_grad()
    def second_step(self) -> None:
        for p, kept in self.state.items():
            p.sub_(kept["up"])
        self.base.step()
        self.zero_grad()


def twice(case: Case, batch: Any) -> Tensor:
    x, y = batch
    loss = case.loss_fn(case.model(x), y)
    loss.backward()
    case.optimizer.first_step()
    case.loss_fn(case.model(x), y).backward()
    case.optimizer.second_step()
    return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(2, 64, 64, 3)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        SAM(model.parameters(), 0.1),
        *loaders(spiral3(seed), seed),
        train_step=twice,
        epochs=20,
    )
