"""C61: the loop takes all rows in each step, whatever batch the loader gives."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, step
from faults.data import loaders, moons2
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = moons2(seed)
    model = mlp(2, 32, 32, 2)

    def on_all(case: Case, _: Any) -> Tensor:
        return step(case, (rows.X, rows.y))

    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model, 0.2),
        *loaders(rows, seed, batch=300),
        train_step=on_all,
        epochs=60,
    )
