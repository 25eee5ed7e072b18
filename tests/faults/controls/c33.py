"""C33: the averaged weights (EMA) are the ones that are validated."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Score, score, step
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.98)
    )

    def averaging_step(case: Case, batch: Any) -> Tensor:
        loss = step(case, batch)
        average.update_parameters(case.model)
        return loss

    def evaluate_average(case: Case) -> Score:
        average.eval()
        return score(replace(case, model=average))

    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model),
        *loaders(blobs10(seed), seed),
        train_step=averaging_step,
        evaluate=evaluate_average,
        epochs=6,
    )
