"""D41: the augmentation of training is in the validation data as well: pixels erased, rows moved."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from faults.case import Case, Fault
from faults.data import images8
from faults.nets import conv_net, sgd

FAULT = Fault(
    "RANDOM_VALIDATION",
    repair="no random transform in the validation part",
    harm="report",
)


class Images(Dataset[Any]):
    """Images that are moved by a row or a column, and lose a square of pixels, if augmented."""

    def __init__(self, X: Tensor, y: Tensor, augmented: bool) -> None:
        self.X, self.y, self.augmented = X, y, augmented

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        x = self.X[i]
        if self.augmented:
            x = x.roll(tuple(torch.randint(-1, 2, (2,)).tolist()), (1, 2)).clone()
            top, left = torch.randint(0, 5, (2,)).tolist()
            x[:, top : top + 4, left : left + 4] = 0
        return x, self.y[i]


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows, model = images8(seed), conv_net(width=16)
    order = torch.Generator().manual_seed(seed)
    train = DataLoader(Images(rows.X, rows.y, True), 64, shuffle=True, generator=order)
    val = DataLoader(Images(rows.X_val, rows.y_val, not healthy), 360)  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), train, val, epochs=15)
