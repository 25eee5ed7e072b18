"""S13: F.softmax at the end of forward, cross entropy after it, and 100 classes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import sgd
from faults.real import digit_pairs

FAULT = Fault(
    "LOSS_EXPECTS_LOGITS",
    consequence=("LR_TOO_LOW", "VANISHING_GRADIENT"),
    repair="return the scores as they are",
)


class Pairs(nn.Module):
    def __init__(self, probabilities: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.bn = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.fc = nn.Linear(24 * 32, 100)
        self.probabilities = probabilities

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn(self.conv1(x)))
        h = F.relu(self.conv2(h)).flatten(1)
        if self.probabilities:
            return F.softmax(self.fc(h), dim=1)  # the fault
        return self.fc(h)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Pairs(probabilities=not healthy)
    rows = loaders(digit_pairs(seed, train=2500), seed)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), *rows, epochs=6)
