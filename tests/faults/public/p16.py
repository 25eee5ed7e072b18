"""P16: softmax over the batch in place of the classes."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "SOFTMAX_WRONG_DIM",
    accept=("BATCH_MIXING", "NLL_WITHOUT_LOGSOFTMAX"),
    consequence=("UNSTABLE_LOG",),
    repair="log_softmax(z, dim=1)",
)


class Net(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.body, self.dim = mlp(64, 64, 64, 10), dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(torch.softmax(self.body(x), dim=self.dim) + 1e-12)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net(dim=1 if healthy else 0)  # the fault
    return Case(model, nn.NLLLoss(), sgd(model), *loaders(digits8(seed), seed))
