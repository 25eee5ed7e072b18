"""S20: a collate function sorts the images of a batch by brightness, and leaves the labels."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from faults.case import Case, Fault
from faults.nets import adam
from faults.real import fashion

FAULT = Fault(
    "LABELS_SHUFFLED",
    consequence=("OVERFIT", "LABEL_NOISE"),
    repair="sort images and labels together",
    earliest="epoch 1",
)


def sorted_batch(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images = sorted((x for x, _ in pairs), key=lambda x: float(x.sum()))  # the fault
    return torch.stack(images), torch.stack([y for _, y in pairs])


def sorted_pairs(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    pairs = sorted(pairs, key=lambda pair: float(pair[0].sum()))
    return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows, order = fashion(seed), torch.Generator().manual_seed(seed)
    collate = sorted_pairs if healthy else sorted_batch
    data = TensorDataset(rows.X, rows.y)
    train = DataLoader(data, 50, shuffle=True, generator=order, collate_fn=collate)
    val = DataLoader(TensorDataset(rows.X_val, rows.y_val), 250)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 10),
    )
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), train, val, epochs=8)
