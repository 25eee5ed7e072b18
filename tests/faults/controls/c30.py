"""C30: a transformer on word numbers, AdamW with weight decay."""

import torch
import torch.nn.functional as F

from faults.case import Case
from faults.data import loaders, topics4
from faults.nets import Transformer


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.01)
    return Case(
        model, F.cross_entropy, optimizer, *loaders(topics4(seed), seed, batch=32), epochs=6
    )
