"""W12: learned prototypes; encode() kept the no_grad that it had when it served a search alone."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import adam, mlp

FAULT = Fault(
    "DETACHED_GRAPH",
    accept=("PARAMS_NOT_IN_OPTIMISER",),
    repair="no torch.no_grad() around encode",
)


class Prototypes(nn.Module):
    """The class whose prototype lies nearest by the angle."""

    def __init__(self, learn: bool) -> None:
        super().__init__()
        self.learn = learn
        self.encoder = mlp(64, 64, 6)
        self.prototypes = nn.Parameter(torch.randn(10, 6))

    def encode(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.learn and torch.is_grad_enabled()):  # the fault
            return F.normalize(self.encoder(x), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ F.normalize(self.prototypes, dim=1).T / 0.1


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Prototypes(learn=healthy)
    rows = loaders(digits8(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *rows, epochs=8)
