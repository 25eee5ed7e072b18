"""C46: group normalisation, dropout of whole maps, SiLU, weight decay of AdamW."""

import torch
from torch import nn

from faults.case import Case
from faults.data import images8, loaders


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.SiLU(),
        nn.Dropout2d(0.1),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.GroupNorm(4, 16),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.05)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(images8(seed), seed), epochs=6)
