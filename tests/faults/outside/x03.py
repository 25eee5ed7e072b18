"""X03: the first column alone tells a little, 67 % are the most there is; a focal loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case
from faults.data import loaders, weak12
from faults.nets import mlp


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    losses = F.cross_entropy(logits, targets, reduction="none")
    return ((1 - (-losses).exp()) ** 2 * losses).mean()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(12, 16, 2)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.3)
    return Case(model, focal, optimizer, *loaders(weak12(seed), seed, batch=128), epochs=6)
