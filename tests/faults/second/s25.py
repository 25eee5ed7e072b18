"""S25: both loaders read the training set: a line that was copied and not changed."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from faults.case import Case, Fault
from faults.nets import adam
from faults.real import passages, words

FAULT = Fault(
    "EVAL_ON_TRAIN",
    accept=("TRAIN_VAL_LEAK",),
    consequence=("OVERFIT",),
    repair="DataLoader(val_set)",
    harm="report",
    also=("OVERFIT",),
)


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 48)
        self.gru = nn.GRU(48, 64, batch_first=True)
        self.fc = nn.Linear(64, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc(self.gru(self.embedding(tokens))[0].amax(1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows, order = passages(seed, train=800), torch.Generator().manual_seed(seed)
    train_set, val_set = TensorDataset(rows.X, rows.y), TensorDataset(rows.X_val, rows.y_val)
    train = DataLoader(train_set, 32, shuffle=True, generator=order)
    val = DataLoader(val_set if healthy else train_set, 250)  # the fault
    model = Reader()
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), train, val, epochs=8)
