"""X07: a small net learns the softened answers of a larger one: distillation at temperature 4."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam, conv_net


class Distil:
    def __init__(self, teacher: nn.Module, temperature: float = 4.0) -> None:
        self.teacher, self.temperature = teacher.eval(), temperature

    def __call__(self, case: Case, batch: Any) -> Tensor:
        (x, y), t = batch, self.temperature
        with torch.no_grad():
            soft = (self.teacher(x) / t).softmax(1)
        case.optimizer.zero_grad()
        z = case.model(x)
        kl = F.kl_div((z / t).log_softmax(1), soft, reduction="batchmean") * t**2
        loss = 0.9 * kl + 0.1 * case.loss_fn(z, y)
        loss.backward()
        case.optimizer.step()
        return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    teacher, (train, val) = conv_net(width=16), loaders(images8(seed), seed)
    optimizer = adam(teacher, 3e-3)
    for _ in range(4):
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(teacher(x), y).backward()
            optimizer.step()
    model = conv_net(width=4)
    step = Distil(teacher)
    optimizer = adam(model, 3e-3)
    return Case(model, nn.CrossEntropyLoss(), optimizer, train, val, epochs=16, train_step=step)
