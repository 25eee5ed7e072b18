"""W05: training images were read by PIL, which gives RGB, validation images by OpenCV: BGR."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from faults.case import Case, Fault
from faults.data import colours4
from faults.nets import adam

FAULT = Fault(
    "TRAIN_VAL_PREPROC_MISMATCH",
    consequence=("OVERFIT",),
    repair="cv2.cvtColor(image, cv2.COLOR_BGR2RGB) where the validation images are read",
    harm="report",
)


class Discs(Dataset[tuple[Tensor, Tensor]]):
    """Images (8, 8, 3) of bytes as a reader gives them, made into (3, 8, 8) from -1 to 1."""

    def __init__(self, files: Tensor, labels: Tensor, bgr: bool = False) -> None:
        self.files, self.labels, self.bgr = files, labels, bgr

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = self.files[i]
        if self.bgr:
            image = image.flip(2)
        return (image.permute(2, 0, 1) / 255 - 0.5) / 0.5, self.labels[i]


def on_disc(images: Tensor) -> Tensor:
    """Images (rows, 3, 8, 8) as bytes (rows, 8, 8, 3)."""
    return (images.permute(0, 2, 3, 1) * 100 + 75).clamp(0, 255).byte()


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = colours4(seed, train=1200, val=400)
    opencv = not healthy  # the fault
    train = Discs(on_disc(rows.X), rows.y)
    val = Discs(on_disc(rows.X_val), rows.y_val, bgr=opencv)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(128, 4),
    )
    order = torch.Generator().manual_seed(seed)
    batches: DataLoader[Any] = DataLoader(train, 32, shuffle=True, generator=order)
    val_batches = DataLoader(val, 100)
    return Case(model, nn.CrossEntropyLoss(), adam(model), batches, val_batches, epochs=6)
