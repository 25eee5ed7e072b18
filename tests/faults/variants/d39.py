"""D39: the validation loss is summed with its graph, without no_grad: all activations stay."""

import torch
from torch import nn

from faults.case import Case, Fault, Score, evaluate
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "GRAPH_KEPT",
    repair="with torch.no_grad(): around the validation",
    earliest="epoch 1",
    harm="memory",
)


def kept(case: Case) -> Score:
    case.model.eval()
    total = torch.zeros(())
    hits = rows = 0
    for x, y in case.val_loader:  # The fault: no torch.no_grad().
        z = case.model(x)
        total = total + case.loss_fn(z, y) * len(y)
        hits += int((z.argmax(1) == y).sum())
        rows += len(y)
    return Score(float(total.detach()) / rows, hits / rows)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 512, 512, 512, 10)
    rows = blobs10(seed, val=16_000)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model, 0.05),
        *loaders(rows, seed, val_batch=100),
        epochs=3,
        evaluate=evaluate if healthy else kept,  # the fault
    )
