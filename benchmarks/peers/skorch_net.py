"""skorch's NeuralNetClassifier without callbacks that print or score."""

from collections.abc import Callable

import torch
from skorch import NeuralNetClassifier
from torch import nn

from peers.torch_loops import net
from workloads import Workload


def epoch(workload: Workload) -> Callable[[], float]:
    x = workload.scaled

    def run() -> float:
        model = NeuralNetClassifier(
            net(workload),
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.SGD,
            optimizer__momentum=workload.momentum,
            lr=workload.lr,
            batch_size=workload.batch_size,
            iterator_train__shuffle=True,
            max_epochs=1,
            train_split=None,
            verbose=0,
            callbacks="disable",
        )
        model.fit(x, workload.targets)
        batches = model.history[-1]["batches"]
        total = sum(b["train_loss"] * b["train_batch_size"] for b in batches)
        return float(total / sum(b["train_batch_size"] for b in batches))

    return run
