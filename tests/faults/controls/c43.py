"""C43: sigmoid and BCELoss, the other pair."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, moons2
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = moons2(seed)
    rows.y, rows.y_val = rows.y[:, None].float(), rows.y_val[:, None].float()
    model = nn.Sequential(*mlp(2, 32, 32, 1), nn.Sigmoid())
    return Case(
        model, nn.BCELoss(), adam(model, 5e-3), *loaders(rows, seed), threshold=0.5, epochs=12
    )
