"""C37: a bag of embeddings, RMSprop."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, topics4


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.EmbeddingBag(40, 16, mode="mean"), nn.Linear(16, 4))
    optimizer = torch.optim.RMSprop(model.parameters(), 3e-3)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(topics4(seed), seed), epochs=12)
