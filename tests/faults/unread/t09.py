"""T09: shoes and bags of Fashion-MNIST, one in fifteen a bag, drawn evenly by a weighed sampler."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from faults.case import Case
from faults.nets import adam
from faults.real import fashion


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows, order = fashion(seed, train=3000, val=1000), torch.Generator().manual_seed(seed)
    bag, shoe = rows.y == 8, torch.isin(rows.y, torch.tensor([5, 7, 9]))
    rare = bag & (torch.arange(len(bag)) % 4 == 0)
    rows.keep(rare | shoe)
    kept = torch.isin(rows.y_val, torch.tensor([5, 7, 8, 9]))
    rows.X_val, rows.y_val = rows.X_val[kept], (rows.y_val[kept] == 8).long()
    rows.y = (rows.y == 8).long()
    weights = (1 / rows.y.bincount())[rows.y]
    sampler = WeightedRandomSampler(weights.tolist(), len(weights), generator=order)
    train = DataLoader(TensorDataset(rows.X, rows.y), 32, sampler=sampler)
    val = DataLoader(TensorDataset(rows.X_val, rows.y_val), 250)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(256, 2),
    )
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, adam(model), train, val, epochs=5, metric="balanced")
