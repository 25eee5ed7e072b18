"""C56: a teacher that is the average of the student's weights: what both say is to agree."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    teacher = copy.deepcopy(model)

    def taught(case: Case, batch: Any) -> Tensor:
        x, y = batch
        case.optimizer.zero_grad()
        z = case.model(x + 0.1 * torch.randn_like(x))
        with torch.no_grad():
            opinion = teacher(x + 0.1 * torch.randn_like(x)).softmax(1)
        loss = case.loss_fn(z, y)
        (loss + 0.5 * F.mse_loss(z.softmax(1), opinion)).backward()
        case.optimizer.step()
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), case.model.parameters(), strict=True):
                old.lerp_(new, 0.05)
        return loss.detach()

    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 0.01),
        *loaders(waves3(seed), seed),
        train_step=taught,
        epochs=12,
    )
