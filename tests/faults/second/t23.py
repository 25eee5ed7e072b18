"""T23: a bag of word vectors with sparse gradients, each row a list of words; SparseAdam."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.real import PADDING, passages, words


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(words(), 32, mode="sum", padding_idx=PADDING, sparse=True)
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc(torch.tanh(self.bag(tokens)))


class Both:
    """Two optimizers that step together, as a loop's author might join them."""

    def __init__(self, *optimizers: torch.optim.Optimizer) -> None:
        self.optimizers = optimizers

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Bag()
    sparse = torch.optim.SparseAdam(model.bag.parameters(), 3e-3)
    dense = torch.optim.Adam(model.fc.parameters(), 3e-3)
    optimizer = Both(sparse, dense)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(passages(seed), seed), epochs=8)
