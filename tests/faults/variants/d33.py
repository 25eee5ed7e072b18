"""D33: the second cycle of a cosine begins forty times as high as the first, a GRU."""

import torch
from torch import nn

from faults.case import Case, Fault, scheduled
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam

FAULT = Fault(
    "LR_ROSE",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "SATURATED", "LEARNING_LOST"),
    repair="restart at the first cycle's rate",
    earliest="after the rise",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    optimizer = adam(model, 0.01)
    epoch = 29  # minibatches of 32
    cycles = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 8 * epoch)

    def restarted() -> None:
        cycles.base_lrs = [0.01 if healthy else 0.4]  # the fault

    class Cycles:
        steps = 0

        def step(self) -> None:
            self.steps += 1
            if self.steps == 8 * epoch:
                restarted()
            cycles.step()

    return Case(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        *loaders(waves3(seed, noise=0.3), seed, batch=32),
        train_step=scheduled(Cycles()),
        epochs=15,
    )
