"""D14: torch.sigmoid before binary_cross_entropy_with_logits, outputs without a second axis."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import cancer, loaders, standardised
from faults.nets import mlp, sgd

FAULT = Fault(
    "LOSS_EXPECTS_LOGITS",
    accept=("SIGMOID_BEFORE_BCEWITHLOGITS",),
    consequence=("LR_TOO_LOW",),
    repair="no sigmoid in the model",
)


class Net(nn.Module):
    def __init__(self, probability: bool) -> None:
        super().__init__()
        self.body, self.probability = mlp(30, 32, 1), probability

    def forward(self, x: Tensor) -> Tensor:
        z = self.body(x).squeeze(1)
        return torch.sigmoid(z) if self.probability else z  # the fault


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = standardised(cancer(seed))
    rows.y, rows.y_val = rows.y.float(), rows.y_val.float()
    model = Net(probability=not healthy)
    return Case(
        model,
        F.binary_cross_entropy_with_logits,
        sgd(model, 0.02),
        *loaders(rows, seed, batch=32),
        threshold=0.0 if healthy else 0.5,
    )
