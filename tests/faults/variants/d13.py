"""D13: a transformer that ends in a softmax, and F.cross_entropy."""

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case, Fault
from faults.data import loaders, topics4
from faults.nets import Transformer, adam

FAULT = Fault(
    "LOSS_EXPECTS_LOGITS",
    accept=("DOUBLE_SOFTMAX",),
    consequence=("LR_TOO_LOW",),
    repair="no softmax in the model",
)


class Probabilities(Transformer):
    def forward(self, tokens: Tensor) -> Tensor:
        return F.softmax(super().forward(tokens), dim=-1)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Transformer() if healthy else Probabilities()  # the fault
    return Case(
        model, F.cross_entropy, adam(model, 2e-3), *loaders(topics4(seed), seed, batch=32), epochs=6
    )
