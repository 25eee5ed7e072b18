"""V05: a student learns from a teacher's probabilities and from the labels."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, run
from faults.data import digits8, loaders
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = digits8(seed)
    teacher, model = mlp(64, 128, 10), mlp(64, 32, 10)
    run(Case(teacher, nn.CrossEntropyLoss(), adam(teacher, 3e-3), *loaders(rows, seed), epochs=4))
    teacher.eval().requires_grad_(False)

    def distilling_step(case: Case, batch: Any) -> Tensor:
        x, y = batch
        case.optimizer.zero_grad()
        z = case.model(x)
        soft = F.kl_div(
            F.log_softmax(z / 2, 1), F.softmax(teacher(x) / 2, 1), reduction="batchmean"
        )
        loss = case.loss_fn(z, y) + 2 * soft
        loss.backward()
        case.optimizer.step()
        return loss.detach()

    torch.manual_seed(seed)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 3e-3),
        *loaders(rows, seed),
        train_step=distilling_step,
    )
