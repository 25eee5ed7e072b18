"""C55: a trained student goes on by a frozen teacher's opinion and smoothed labels."""

import copy
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
    student = mlp(64, 64, 10)
    first = Case(student, F.cross_entropy, adam(student, 0.01), *loaders(rows, seed), epochs=15)
    run(first, seed=seed)
    teacher = copy.deepcopy(student).eval().requires_grad_(False)

    def distilled(case: Case, batch: Any) -> Tensor:
        x, y = batch
        with torch.no_grad():
            opinion = (teacher(x) / 4).softmax(1)
        case.optimizer.zero_grad()
        z = case.model(x)
        loss = case.loss_fn(z, y)
        (loss + F.kl_div((z / 4).log_softmax(1), opinion, reduction="batchmean")).backward()
        case.optimizer.step()
        return loss.detach()

    return Case(
        student,
        nn.CrossEntropyLoss(label_smoothing=0.2),
        torch.optim.SGD(student.parameters(), 0.02),
        *loaders(rows, seed),
        train_step=distilled,
        epochs=5,
    )
