"""C42: log_softmax and NLLLoss, a pair that belongs together."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import sgd


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.two(torch.tanh(self.one(x))), dim=-1)


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Net()
    return Case(model, F.nll_loss, sgd(model, lr=0.05), *loaders(digits8(seed), seed))
