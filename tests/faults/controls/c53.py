"""C53: a body and a head, each with its own optimizer, and a loss for each backward pass."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Score, predicted
from faults.data import digits8, loaders
from faults.nets import mlp


class Rebuilding(nn.Module):
    """Classes, and the input again."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
        self.classes, self.back = nn.Linear(32, 10), mlp(32, 32, 64)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        return {"logits": self.classes(h), "rebuilt": self.back(h)}


def two(case: Case, batch: Any) -> Tensor:
    x, y = batch
    for optimizer in case.optimizer:
        optimizer.zero_grad()
    out = case.model(x)
    case.loss_fn(out["logits"], y).backward(retain_graph=True)
    F.mse_loss(out["rebuilt"], x).backward()
    for optimizer in case.optimizer:
        optimizer.step()
    return torch.zeros(())


def evaluate(case: Case) -> Score:
    case.model.eval()
    with torch.no_grad():
        z, y = zip(*[(case.model(x)["logits"], y) for x, y in case.val_loader], strict=True)
    outputs, targets = torch.cat(z), torch.cat(y)
    loss = F.cross_entropy(outputs, targets).item()
    return Score(loss, (predicted(outputs) == targets).float().mean().item())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Rebuilding()
    optimizers = [
        torch.optim.SGD(model.body.parameters(), 0.05, momentum=0.9),
        torch.optim.Adam([*model.classes.parameters(), *model.back.parameters()], 3e-3),
    ]
    return Case(
        model,
        nn.CrossEntropyLoss(),
        optimizers,
        *loaders(digits8(seed), seed),
        train_step=two,
        evaluate=evaluate,
    )
