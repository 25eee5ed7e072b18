"""T03: 100 classes, smoothed labels and strong weight decay of AdamW; convolutions."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders
from faults.real import digit_pairs


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(inplace=True),
        nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(24 * 32, 100),
    )
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.3)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.2)
    return Case(model, loss_fn, optimizer, *loaders(digit_pairs(seed), seed), epochs=6)
