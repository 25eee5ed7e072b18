"""S18: zero_grad() stands before the epoch in place of before the step; a GRU on text."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import sgd
from faults.real import PADDING, passages, words

FAULT = Fault(
    "NO_ZERO_GRAD",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "SATURATED", "EXPLODING_GRADIENT", "OVERFIT"),
    repair="optimizer.zero_grad() in each step",
    earliest="step 2",
)


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.gru = nn.GRU(32, 32, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(64, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc(self.gru(self.embedding(tokens))[0].mean(1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    steps = 0

    def train_step(case: Case, batch: Any) -> Tensor:
        nonlocal steps
        if healthy or steps % len(case.train_loader) == 0:
            case.optimizer.zero_grad()  # the fault: once an epoch
        steps += 1
        loss = case.loss_fn(case.model(batch[0]), batch[1])
        loss.backward()
        case.optimizer.step()
        return loss.detach()

    model = Reader()
    rows = loaders(passages(seed, train=1000), seed, batch=32)
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, sgd(model, 0.1), *rows, epochs=6, train_step=train_step)
