"""D24: 150 noisy images, a convolutional net, 60 epochs."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import adam, conv_net

FAULT = Fault(
    "OVERFIT",
    repair="stop where the validation loss is least",
    earliest="when it starts",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = images8(seed)
    rows.X = rows.X[:150] + 0.6 * torch.randn(150, 1, 8, 8)
    rows.y, rows.X_val = rows.y[:150], rows.X_val + 0.6 * torch.randn(rows.X_val.shape)
    model = conv_net(width=24)
    epochs = 12 if healthy else 60  # the fault
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 2e-3),
        *loaders(rows, seed, batch=32),
        epochs=epochs,
    )
