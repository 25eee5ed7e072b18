"""D19: Adam with a rate of 1e-7 on a GRU."""

import torch
import torch.nn.functional as F

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam

FAULT = Fault(
    "LR_TOO_LOW",
    consequence=("STOPPED_TOO_EARLY",),
    repair="a learning rate of 0.01",
    earliest="step 200",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    lr = 1e-2 if healthy else 1e-7  # the fault
    rows = waves3(seed, train=1800)
    return Case(model, F.cross_entropy, adam(model, lr), *loaders(rows, seed), epochs=10)
