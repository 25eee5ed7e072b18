"""W06: forward makes its dropout anew at each call, so that eval mode never reaches it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import fashion

FAULT = Fault(
    "STOCHASTIC_EVAL",
    consequence=("DROPOUT_TOO_HIGH", "EVAL_IN_TRAIN_MODE"),
    repair="make the dropout in __init__, or F.dropout(x, training=self.training)",
)


class Net(nn.Module):
    """Fashion-MNIST, 14 x 14."""

    def __init__(self, registered: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc1 = nn.Linear(24 * 9, 64)
        self.fc2 = nn.Linear(64, 10)
        self.drop = nn.Dropout(0.5) if registered else None

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        drop = self.drop or nn.Dropout(p=0.5)  # the fault
        x = drop(x)
        x = drop(F.relu(self.fc1(x)))
        return self.fc2(x)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net(registered=healthy)
    rows = loaders(fashion(seed, train=2000), seed, batch=50)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *rows, epochs=8)
