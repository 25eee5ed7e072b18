"""C60: labels for rows without any: the net's own opinion, asked without gradients in each step."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = images8(seed)
    unlabelled = rows.X[:900]
    rows.X, rows.y = rows.X[900:], rows.y[900:]
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10)),
    )

    def half_taught(case: Case, batch: Any) -> Tensor:
        x, y = batch
        weak = unlabelled[torch.randint(len(unlabelled), (128,))]
        with torch.no_grad():
            sure, opinion = case.model(weak).softmax(1).max(1)
        strong = weak + 0.1 * torch.randn_like(weak)
        case.optimizer.zero_grad()
        loss = case.loss_fn(case.model(x), y)
        own = F.cross_entropy(case.model(strong), opinion, reduction="none")
        (loss + (own * (sure > 0.95)).mean()).backward()
        case.optimizer.step()
        return loss.detach()

    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 3e-3),
        *loaders(rows, seed, batch=32),
        train_step=half_taught,
        epochs=12,
    )
