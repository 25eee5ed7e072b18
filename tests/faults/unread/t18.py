"""T18: an LSTM cell called in a loop, its states made by hand; Fashion-MNIST row by row."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.nets import adam
from faults.real import fashion


class Scanner(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(14, width)
        self.fc = nn.Linear(width, 10)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        h = c = torch.zeros(len(x), self.width)
        for row in x.squeeze(1).unbind(1):
            h, c = self.cell(row, (h, c))
        return self.fc(h)


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Scanner()
    rows = loaders(fashion(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *rows, epochs=8)
