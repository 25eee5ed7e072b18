"""D08: matrices of one's own that all start at 0.05, with tanh."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import adam

FAULT = Fault(
    "SYMMETRIC_INIT",
    consequence=("VANISHING_GRADIENT", "INIT_TOO_SMALL", "CAPACITY_TOO_LOW"),
    repair="random matrices",
)


class Plain(nn.Module):
    def __init__(self, constant: bool) -> None:
        super().__init__()
        shapes = (20, 48), (48, 48), (48, 10)
        self.weights = nn.ParameterList(
            torch.full(s, 0.05) if constant else torch.randn(s) / s[0] ** 0.5 for s in shapes
        )
        self.biases = nn.ParameterList(torch.zeros(s[1]) for s in shapes)

    def forward(self, x: Tensor) -> Tensor:
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.tanh(x @ w + b)
        return x @ self.weights[-1] + self.biases[-1]


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Plain(constant=not healthy)  # the fault
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(blobs10(seed), seed))
