"""What looking on costs: python benchmarks/health.py.

Pairs of runs with and without, in turn: sp.watch around a plain PyTorch loop of a tiny MLP and of a
small CNN, and health=True on workload A of the native engine. CPU time of the process, one thread,
so that other work on the machine counts little; the median of the ratios with a 95 % interval of
the median (binomial). What is done once at the start (copies, the check of the first batch) counts.
"""

import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

import steepest as sp

PAIRS = 12


def interval(ratios: list[float]) -> tuple[float, float]:
    """Of the median: order statistics 3 and 10 of 12 hold it in 96 % of cases."""
    ordered = sorted(ratios)
    cut = max(0, len(ordered) // 2 - 4)
    return ordered[cut], ordered[-1 - cut]


def pairs(name: str, run: Callable[[bool], float]) -> None:
    run(True), run(False)
    ratios = []
    for _ in range(PAIRS):
        plain, watched = run(False), run(True)
        ratios.append(watched / plain)
    low, high = interval(ratios)
    cost = statistics.median(ratios) - 1
    print(f"{name}: {cost:+.1%} (95 %: {low - 1:+.1%} to {high - 1:+.1%}), {PAIRS} pairs")


def loop(model: nn.Module, X: torch.Tensor, y: torch.Tensor, steps: int) -> Callable[[bool], float]:
    """A user's own loop, with watch or without; its seconds of CPU."""

    def train(net: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: nn.Module) -> None:
        for i in range(steps):
            rows = slice(64 * i % (len(X) - 64), 64 * i % (len(X) - 64) + 64)
            optimizer.zero_grad()
            loss_fn(net(X[rows]), y[rows]).backward()
            optimizer.step()

    def run(watched: bool) -> float:
        net = copy.deepcopy(model)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        loss_fn = nn.CrossEntropyLoss()
        since = time.process_time()
        if watched:
            with sp.watch(net, loss_fn, optimizer):
                train(net, optimizer, loss_fn)
        else:
            train(net, optimizer, loss_fn)
        return time.process_time() - since

    return run


def native(epochs: int) -> Callable[[bool], float]:
    data = sp.load("fashion-mnist")

    def run(watched: bool) -> float:
        since = time.process_time()
        sp.train(
            None, data, hidden=(100,), activation="tanh", lr=0.1, batch_size=32, epochs=epochs,
            threads=1, check=False, health=watched, progress="none",
        )  # fmt: skip
        return time.process_time() - since

    return run


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    X = torch.randn(20_000, 20)
    mlp = nn.Sequential(
        nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    pairs("tiny MLP, own loop", loop(mlp, X, X[:, :10].argmax(1), 3000))
    images = torch.randn(2_000, 1, 16, 16)
    cnn = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    labels = images[:, 0, 3:13, 5].argmax(1)
    pairs("small CNN, own loop", loop(cnn, images, labels, 300))
    pairs("workload A, native engine", native(2))


if __name__ == "__main__":
    main()
