"""C48: an auxiliary head beside the main one; the loop adds the two losses."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Score, predicted
from faults.data import colours4, loaders
from faults.nets import adam


class TwoHeads(nn.Module):
    """Outputs of the last and of the middle layer."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.high = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())
        self.head, self.auxiliary = nn.Linear(16, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low = self.low(x)
        return self.head(self.high(low).mean((2, 3))), self.auxiliary(low.mean((2, 3)))


def both(case: Case, batch: Any) -> Tensor:
    x, y = batch
    case.optimizer.zero_grad()
    main, auxiliary = case.model(x)
    loss = case.loss_fn(main, y) + 0.3 * case.loss_fn(auxiliary, y)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def evaluate(case: Case) -> Score:
    case.model.eval()
    with torch.no_grad():
        z, y = zip(*[(case.model(x)[0], y) for x, y in case.val_loader], strict=True)
    outputs, targets = torch.cat(z), torch.cat(y)
    loss = F.cross_entropy(outputs, targets).item()
    return Score(loss, (predicted(outputs) == targets).float().mean().item())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = TwoHeads()
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 0.01),
        *loaders(colours4(seed), seed),
        train_step=both,
        evaluate=evaluate,
    )
