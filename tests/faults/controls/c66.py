"""C66: fine-tuning: the head first, then the body too, by a group that is added in mid-run."""

import torch
from torch import nn

from faults.case import Case, run
from faults.data import images8, loaders
from faults.nets import adam, conv_net


class Unfreezing:
    """Adds the body to the optimizer after three epochs, at a twentieth of the head's rate."""

    def __init__(self, model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer, self.epochs = model, optimizer, 0

    def step(self) -> None:
        self.epochs += 1
        if self.epochs == 3:
            body = [p for layer in self.model[:-1] for p in layer.parameters()]
            for p in body:
                p.requires_grad_(True)
            self.optimizer.add_param_group({"params": body, "lr": 5e-4})


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows, model = images8(seed), conv_net()
    run(Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(rows, seed), epochs=4))
    torch.manual_seed(seed)
    model[-1].reset_parameters()
    for layer in model[:-1]:
        layer.requires_grad_(False)
    optimizer = torch.optim.Adam(model[-1].parameters(), 1e-2)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        *loaders(images8(seed + 50), seed),
        scheduler=Unfreezing(model, optimizer),
        epochs=10,
    )
