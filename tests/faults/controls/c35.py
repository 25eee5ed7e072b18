"""C35: LBFGS, whose closure computes loss and gradient several times a step."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import cancer, loaders, standardised


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Linear(30, 1)
    rows = standardised(cancer(seed))
    rows.y, rows.y_val = rows.y[:, None].float(), rows.y_val[:, None].float()
    optimizer = torch.optim.LBFGS(model.parameters(), 0.1, max_iter=3)

    def closure_step(case: Case, batch: Any) -> Tensor:
        x, y = batch

        def closure() -> Tensor:
            case.optimizer.zero_grad()
            penalty = 0.01 * case.model.weight.square().sum()
            loss = case.loss_fn(case.model(x), y) + penalty
            loss.backward()
            return loss

        return case.optimizer.step(closure)

    return Case(
        model,
        nn.BCEWithLogitsLoss(),
        optimizer,
        *loaders(rows, seed, batch=len(rows.y)),
        train_step=closure_step,
        epochs=20,
    )
