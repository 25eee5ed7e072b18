"""S23: a language model's loss summed over all places of all rows, plain descent."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault, Score
from faults.data import loaders
from faults.nets import sgd
from faults.real import characters, sentences

FAULT = Fault(
    "SUM_REDUCTION",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "SATURATED", "EXPLODING_GRADIENT"),
    repair='reduction="mean"',
)


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), 24)
        self.gru = nn.GRU(24, 64, batch_first=True)
        self.fc = nn.Linear(64, characters())

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.gru(self.embedding(x))[0])


def evaluate(case: Case) -> Score:
    case.model.eval()
    with torch.no_grad():
        z, y = (torch.cat(parts) for parts in zip(*_answers(case), strict=True))
    loss = F.cross_entropy(z.flatten(0, 1), y.flatten()).item()
    return Score(loss, (z.argmax(2) == y).float().mean().item())


def _answers(case: Case) -> list[tuple[Tensor, Tensor]]:
    return [(case.model(x), y) for x, y in case.val_loader]


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    reduction = "mean" if healthy else "sum"  # the fault

    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction=reduction)

    model = Language()
    rows = loaders(sentences(seed, train=1000), seed, batch=32)
    return Case(model, loss_fn, sgd(model, 0.3), *rows, epochs=6, evaluate=evaluate)
