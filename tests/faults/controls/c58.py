"""C58: pairs of rows: two forward passes a step, and a loss of the distance between them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from faults.case import Case, Score
from faults.data import digits8
from faults.nets import adam, mlp


def contrast(a: Tensor, b: Tensor, same: Tensor) -> Tensor:
    """Hadsell, Chopra and LeCun (2006)."""
    distance = F.pairwise_distance(a, b)
    return (same * distance.square() + (1 - same) * (1 - distance).clamp_min(0).square()).mean()


def pairwise(case: Case, batch: Any) -> Tensor:
    one, other, same = batch
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(one), case.model(other), same)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def evaluate(case: Case) -> Score:
    case.model.eval()
    losses, hits = [], []
    with torch.no_grad():
        for one, other, same in case.val_loader:
            a, b = case.model(one), case.model(other)
            losses.append(case.loss_fn(a, b, same))
            hits.append((F.pairwise_distance(a, b) < 0.5) == (same > 0.5))
    return Score(torch.stack(losses).mean().item(), torch.cat(hits).float().mean().item())


def pairs(X: Tensor, y: Tensor, count: int, g: torch.Generator) -> TensorDataset:
    a = torch.randint(len(y), (count,), generator=g)
    b = torch.randint(len(y), (count,), generator=g)
    alike = torch.rand(count, generator=g) < 0.5
    for k in alike.nonzero()[:, 0]:
        b[k] = (y == y[a[k]]).nonzero()[torch.randint(20, (1,), generator=g), 0]
    return TensorDataset(X[a], X[b], (y[a] == y[b]).float())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows, g = digits8(seed), torch.Generator().manual_seed(seed)
    train = pairs(rows.X, rows.y, 3000, g)
    val = pairs(rows.X_val, rows.y_val, 600, g)
    model = mlp(64, 64, 16)
    return Case(
        model,
        contrast,
        adam(model, 3e-3),
        DataLoader(train, 64, shuffle=True, generator=g),
        DataLoader(val, 200),
        train_step=pairwise,
        evaluate=evaluate,
        epochs=8,
    )
