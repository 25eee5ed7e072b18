"""What is said of gradients that explode, and what cures them: python benchmarks/exploding.py.

Nets whose gradients are made to explode (recurrent ones over long sequences, deep ones, rows far
out), each beside the rules as they are. Told of each seed: the largest norm of the gradient in the
first 100 steps over the median one, the code that is read first, and the validation accuracy at the
end, of the program as it is, with the fix of that code (tests/faults/repairs.py), with the gradient
clipped at 1, and with a tenth of the rate.
"""

import statistics
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from faults.case import Case, run
from faults.data import digits8, loaders, waves3
from faults.judge import ACTIONABLE, Steepest
from faults.nets import mlp, sgd
from faults.repairs import fixed

SEEDS = 2


class Reader(nn.Module):
    """A recurrent layer of one kind, and a linear layer on its last state."""

    def __init__(self, layer: nn.Module, classes: int = 3) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(24, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(x)
        return self.head(states[:, -1])


def recurrent(layer: nn.Module, scale: float, lr: float) -> Callable[[int], Case]:
    """Recurrent weights of this spectral radius, 0 for PyTorch's own."""

    def make(seed: int) -> Case:
        torch.manual_seed(seed)
        model = Reader(type(layer)(1, 24, batch_first=True, **_kind(layer)))
        if scale:
            with torch.no_grad():
                for name, p in model.layer.named_parameters():
                    if "weight_hh" in name:
                        p.normal_(0, scale / 24**0.5)
        rows = waves3(seed, train=1800)
        return Case(model, nn.CrossEntropyLoss(), sgd(model, lr), *loaders(rows, seed), epochs=6)

    return make


def _kind(layer: nn.Module) -> dict[str, Any]:
    return {"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}


def deep(depth: int, gain: float) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        torch.manual_seed(seed)
        model = mlp(64, *[64] * depth, 10)
        for part in model:
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, 0, gain * (2 / part.in_features) ** 0.5)
                nn.init.zeros_(part.bias)
        rows = digits8(seed)
        return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), *loaders(rows, seed), epochs=6)

    return make


def far_rows(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = digits8(seed)
    rows.X[::300] *= 1000  # five of them
    model = mlp(64, 128, 10)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(rows, seed), epochs=6)


CASES: dict[str, Callable[[int], Case]] = {
    "RNN, tanh, radius 3": recurrent(nn.RNN(1, 1), 3.0, 0.1),
    "RNN, ReLU, radius 1.5": recurrent(nn.RNN(1, 1, nonlinearity="relu"), 1.5, 0.1),
    "RNN, ReLU, own start, rate 0.3": recurrent(nn.RNN(1, 1, nonlinearity="relu"), 0.0, 0.3),
    "RNN, tanh, own start, rate 1": recurrent(nn.RNN(1, 1), 0.0, 1.0),
    "GRU, radius 4": recurrent(nn.GRU(1, 1), 4.0, 0.3),
    "LSTM, radius 4": recurrent(nn.LSTM(1, 1), 4.0, 1.0),
    "12 layers, He times 1.5": deep(12, 1.5),
    "20 layers, He times 1.2": deep(20, 1.2),
    "five rows far out": far_rows,
}


def clipping(limit: float, norms: list[float]) -> Callable[[Case, Any], Tensor]:
    """A step whose gradient is clipped to this norm; what it was before goes into the list."""

    def take(case: Case, batch: Any) -> Tensor:
        inputs, targets = batch
        case.optimizer.zero_grad()
        loss = case.loss_fn(case.model(inputs), targets)
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(case.model.parameters(), limit)))
        case.optimizer.step()
        return loss.detach()

    return take


def accuracy(case: Case | None, seed: int) -> str:
    return "-" if case is None else f"{run(case, seed=seed).last.accuracy:.1%}"


def jump(case: Case) -> float:
    """The largest norm over the median one, of 100 steps; infinite if one is not finite."""
    norms: list[float] = []
    case.train_step = clipping(float("inf"), norms)
    run(case, epochs=4)
    return max(norms[:100]) / statistics.median(norms[:100])


def first(case: Case, seed: int) -> str:
    tool = Steepest()
    found = list(tool.before(case))
    with tool.around(case) as watch:
        run(case, watch, seed)
    found += watch.findings
    return next((f.code for f in found if f.severity in ACTIONABLE), "")


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(
        "| net | jump | said | as it is | its fix | clipped at 1 | rate / 10 |\n"
        "|---|---:|---|---:|---:|---:|---:|"
    )
    for name, make in CASES.items():
        for seed in range(SEEDS):
            code = first(make(seed), seed)
            clip, slow = make(seed), make(seed)
            clip.train_step = clipping(1.0, [])
            slow.optimizer.param_groups[0]["lr"] /= 10
            cured = accuracy(fixed(make(seed), code), seed) if code else "-"
            columns = accuracy(make(seed), seed), cured, accuracy(clip, seed), accuracy(slow, seed)
            print(
                f"| {name} | {jump(make(seed)):.0f} | {code} | {' | '.join(columns)} |", flush=True
            )


if __name__ == "__main__":
    main()
