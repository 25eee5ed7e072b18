"""What looking on costs: python benchmarks/health.py.

Pairs of runs with and without, one thread, CPU time of the process, so that other work on the
machine counts little; the median of the ratios with a 95 % interval of the median (binomial).
- sp.watch around a plain PyTorch loop of a tiny MLP and of a small CNN, in turns of 40 steps. What
  is done once (copies, the check of the first batch, the careful first 80 steps) is told apart.
- watch=True on workload A of the native engine, whole runs.
"""

import copy
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn

import steepest as sp

PAIRS, TURN = 12, 40


def interval(ratios: list[float]) -> tuple[float, float]:
    """Of the median: order statistics 3 and 10 of 12 hold it in 96 % of cases."""
    ordered = sorted(ratios)
    cut = max(0, len(ordered) // 2 - 4)
    return ordered[cut], ordered[-1 - cut]


def show(name: str, ratios: list[float]) -> None:
    low, high = interval(ratios)
    cost = statistics.median(ratios) - 1
    print(f"{name}: {cost:+.1%} (95 %: {low - 1:+.1%} to {high - 1:+.1%}), {len(ratios)} pairs")


def loop(name: str, model: nn.Module, X: torch.Tensor, y: torch.Tensor, steps: int) -> None:
    """A user's own loop, with watch and without."""

    def train(watched: bool) -> Iterator[float]:
        """The seconds of each turn, in which it is begun, and at last those of the end."""
        net = copy.deepcopy(model)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        loss_fn = nn.CrossEntropyLoss()
        since = time.process_time()
        looking = sp.watch(net, loss_fn, optimizer).start() if watched else None
        for i in range(steps):
            rows = slice(64 * i % (len(X) - 64), 64 * i % (len(X) - 64) + 64)
            optimizer.zero_grad()
            loss_fn(net(X[rows]), y[rows]).backward()
            optimizer.step()
            if i % TURN == TURN - 1:
                yield time.process_time() - since
                since = time.process_time()
        if looking:
            looking.stop()
        yield time.process_time() - since

    ratios, once, whole = [], [], []
    for _ in range(PAIRS):
        plain, watched = zip(*zip(train(False), train(True), strict=True), strict=True)
        ratios.append(sum(watched[2:]) / sum(plain[2:]))
        once.append(sum(watched[:2]) - sum(plain[:2]))
        whole.append(sum(watched) / sum(plain))
    show(f"{name}, a step", ratios)
    print(f"{name}, once: {1000 * statistics.median(once):.0f} ms")
    show(f"{name}, {steps} steps with all", whole)


def native(epochs: int) -> Callable[[bool], float]:
    data = sp.load_data("fashion-mnist")

    def run(watched: bool) -> float:
        since = time.process_time()
        sp.train(
            None, data, hidden=(100,), activation="tanh", lr=0.1, batch_size=32, epochs=epochs,
            threads=1, check=False, watch=watched, progress="none",
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
    loop("tiny MLP, own loop", mlp, X, X[:, :10].argmax(1), 2000)
    images = torch.randn(2_000, 1, 16, 16)
    cnn = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    labels = images[:, 0, 3:13, 5].argmax(1)
    loop("small CNN, own loop", cnn, images, labels, 800)
    run = native(2)
    show("workload A, native engine", [run(True) / run(False) for _ in range(PAIRS)])


if __name__ == "__main__":
    main()
