"""W04: folders "1" to "10": training numbers them as numbers, validation as sorted strings."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from faults.case import Case, Fault
from faults.data import digits8
from faults.nets import adam

FAULT = Fault(
    "VAL_LABELS_MISMATCH",
    consequence=("OVERFIT", "LR_TOO_HIGH"),
    repair="one table of classes for both parts",
    harm="report",
)


class Folder(Dataset[tuple[Tensor, int]]):
    """Images and the names of the folders that they lay in; `classes` numbers the names."""

    def __init__(self, images: Tensor, folders: list[str], classes: list[str]) -> None:
        self.images, self.folders = images, folders
        self.number = {name: k for k, name in enumerate(classes)}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.images[i].reshape(1, 8, 8), self.number[self.folders[i]]


class SmallNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
        )
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.features(x), 1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = digits8(seed)
    names, names_val = ([str(d + 1) for d in y.tolist()] for y in (rows.y, rows.y_val))
    by_number = sorted(set(names), key=int)
    by_name = by_number if healthy else sorted(set(names_val))  # the fault
    train = Folder((rows.X - 0.3) / 0.38, names, by_number)
    val = Folder((rows.X_val - 0.3) / 0.38, names_val, by_name)
    order = torch.Generator().manual_seed(seed)
    batches: DataLoader[Any] = DataLoader(train, 64, shuffle=True, generator=order)
    model = SmallNet()
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, adam(model, 2e-3), batches, DataLoader(val, 128), epochs=6)
