"""U02: raw scores into nll_loss."""

import torch
import torch.nn.functional as F

from faults.case import Case, Fault
from faults.data import loaders, tab12
from faults.nets import mlp, sgd

FAULT = Fault(
    "NLL_WITHOUT_LOGSOFTMAX",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "EXPLODING_GRADIENT", "DEAD_RELU"),
    repair="log_softmax before the loss",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(12, 32, 2)
    loss = F.cross_entropy if healthy else F.nll_loss  # the fault
    return Case(model, loss, sgd(model, 0.02), *loaders(tab12(seed), seed), epochs=6)
