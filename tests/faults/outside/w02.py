"""W02: a focal loss written by hand, of outputs (rows, 1) and targets (rows): a square of losses."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, tab12
from faults.nets import mlp

FAULT = Fault(
    "LOSS_BROADCASTS",
    repair="squeeze the outputs, or give the targets a second axis",
)


class FocalLoss(nn.Module):
    def __init__(self, gamma: float = 2.0, alpha: float = 0.5) -> None:
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        p = torch.sigmoid(logits)
        p_t = p * targets + (1 - p) * (1 - targets)
        log_p_t = F.logsigmoid(logits) * targets + F.logsigmoid(-logits) * (1 - targets)
        alpha_t = self.alpha * targets + (1 - self.alpha) * (1 - targets)
        return (-alpha_t * (1 - p_t) ** self.gamma * log_p_t).mean()


class Churn(nn.Module):
    def __init__(self, squeeze: bool) -> None:
        super().__init__()
        self.body = mlp(12, 64, 32, 1)
        self.squeeze = squeeze

    def forward(self, x: Tensor) -> Tensor:
        z = self.body(x)
        return z.squeeze(1) if self.squeeze else z


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = tab12(seed)
    rows.y, rows.y_val = rows.y.float(), rows.y_val.float()
    model = Churn(squeeze=healthy)  # the fault
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-4)
    return Case(model, FocalLoss(), optimizer, *loaders(rows, seed), epochs=8)
