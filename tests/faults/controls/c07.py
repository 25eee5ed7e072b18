"""C07: standardised columns with heavy tails, values to 8 and beyond."""

import torch
from torch import nn

from faults.case import Case
from faults.data import Rows, loaders, standardised, tab12
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = tab12(seed)
    # Cubes of normal numbers: signs and order stay, one value in 1,000 is beyond 8 deviations.
    cubed = Rows(rows.X**3, rows.y, rows.X_val**3, rows.y_val)
    model = mlp(12, 64, 64, 2)
    return Case(
        model, nn.CrossEntropyLoss(), adam(model), *loaders(standardised(cubed), seed), epochs=6
    )
