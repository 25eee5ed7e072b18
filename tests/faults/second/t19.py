"""T19: the same net looks at two digits, and says whether they are the same: one output."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import Rows, digits8, generator, loaders
from faults.nets import adam


class Twins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.eye = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )
        self.code = nn.Linear(12 * 16, 24)
        self.fc = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, other = (self.code(self.eye(x[:, k : k + 1])) for k in (0, 1))
        return self.fc((one - other).abs()).squeeze(1)


def pairs(X: Tensor, y: Tensor, n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    one = torch.randint(len(y), (n,), generator=g)
    other = torch.randint(len(y), (n,), generator=g)
    for i in range(0, n, 2):  # every second pair is of the same digit
        same = (y == y[one[i]]).nonzero()[:, 0]
        other[i] = same[torch.randint(len(same), (), generator=g)]
    both = torch.stack([X[one].reshape(-1, 8, 8), X[other].reshape(-1, 8, 8)], 1)
    return both, (y[one] == y[other]).float()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    digits, g = digits8(seed), generator(seed)
    rows = Rows(*pairs(digits.X, digits.y, 2500, g), *pairs(digits.X_val, digits.y_val, 500, g))
    model = Twins()
    return Case(model, nn.BCEWithLogitsLoss(), adam(model, 2e-3), *loaders(rows, seed), epochs=8)
