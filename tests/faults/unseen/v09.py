"""V09: batches are dictionaries, the model takes two inputs by name."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from faults.case import Case, Score
from faults.data import topics4
from faults.nets import adam, mlp


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.numbers = nn.EmbeddingBag(40, 16), nn.Linear(4, 16)
        self.head = mlp(32, 32, 4)

    def forward(self, tokens: Tensor, numbers: Tensor) -> Tensor:
        return self.head(torch.cat([self.words(tokens), F.relu(self.numbers(numbers))], 1))


def named_step(case: Case, batch: Any) -> Tensor:
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(batch["tokens"], batch["numbers"]), batch["label"])
    loss.backward()
    case.optimizer.step()
    return loss.detach()


@torch.no_grad()
def named_evaluate(case: Case) -> Score:
    case.model.eval()
    (batch,) = case.val_loader
    z = case.model(batch["tokens"], batch["numbers"])
    hit = z.argmax(1) == batch["label"]
    return Score(case.loss_fn(z, batch["label"]).item(), hit.float().mean().item())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = topics4(seed)

    def named(X: Tensor, y: Tensor) -> list[dict[str, Tensor]]:
        numbers = torch.randn(len(y), 4) + F.one_hot(y, 4)
        return [
            {"tokens": t, "numbers": n, "label": c} for t, n, c in zip(X, numbers, y, strict=True)
        ]

    order = torch.Generator().manual_seed(seed)
    train = DataLoader(named(rows.X, rows.y), 32, shuffle=True, generator=order)
    val = DataLoader(named(rows.X_val, rows.y_val), 400)
    model = Net()
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 3e-3),
        train,
        val,
        train_step=named_step,
        evaluate=named_evaluate,
        epochs=6,
    )
