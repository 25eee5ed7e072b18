"""P13: probabilities into a loss that takes logits."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "LOSS_EXPECTS_LOGITS",
    accept=("DOUBLE_SOFTMAX",),
    consequence=("LR_TOO_LOW",),
    repair="no softmax in the model",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    if not healthy:
        model.append(nn.Softmax(dim=1))  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(digits8(seed), seed))
