"""Workload A, one epoch: the torch engine against the PyTorch loops that people write.

784-100-10 tanh, batch 32, SGD 0.1, 60000 rows of Fashion-MNIST (or random pixels where the data
set is not installed). The contestants take turns in one process; the figure is the median of
their ratios to the plain indexed loop, pair by pair. Prints a table and, with --json, one object.

    python benchmarks/torch_engine.py [--rounds 7] [--json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.data import Preprocessing
from steepest.engine import Plan, TorchEngine
from steepest.objective import Objective

BATCH, LR = 32, 0.1


def pixels() -> tuple[np.ndarray, np.ndarray, str]:
    try:
        train = sp.load("fashion-mnist").train
    except sp.SteepestError:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (60_000, 1, 28, 28), dtype=np.uint8)
        return images, rng.integers(0, 10, 60_000), "random pixels"
    return np.array(train.inputs), np.array(train.labels, dtype=np.int64), "Fashion-MNIST"


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 10))


def indexed_loop(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """The plain loop over rows indexed in memory: the data are scaled once, as float32."""
    x, y = torch.from_numpy(images).reshape(-1, 784) / 255, torch.from_numpy(labels)

    def epoch() -> float:
        model, loss_fn, total = net(), nn.CrossEntropyLoss(), torch.zeros(())
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = loss_fn(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        return total.item() / len(x)

    return epoch


def loader_loop(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """The loop of the tutorials, with a DataLoader."""
    x, y = torch.from_numpy(images).reshape(-1, 784) / 255, torch.from_numpy(labels)
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)

    def epoch() -> float:
        model, loss_fn, total = net(), nn.CrossEntropyLoss(), torch.zeros(())
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)
        for inputs, targets in loader:
            loss = loss_fn(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(targets)
        return total.item() / len(x)

    return epoch


def torch_engine(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """Ours: bytes stay bytes and are scaled a minibatch at a time; accuracy is counted as well."""
    samples = sp.Samples(images, labels, "benchmark")
    inputs = Preprocessing.fit(samples, "pixels").prepare(samples)

    def epoch() -> float:
        recipe = sp.Recipe(lr=LR, batch_size=BATCH)
        plan = Plan(net(), Objective("multiclass"), inputs, labels, recipe)
        engine = TorchEngine()
        engine.load(plan)
        stats = engine.advance([LR] * plan.steps_per_epoch)
        engine.export()
        return stats.loss

    return epoch


CONTESTANTS = {
    "PyTorch, rows indexed in memory": indexed_loop,
    "PyTorch, DataLoader": loader_loop,
    "steepest, torch engine": torch_engine,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    images, labels, source = pixels()
    epochs = {name: make(images, labels) for name, make in CONTESTANTS.items()}
    losses = {name: epoch() for name, epoch in epochs.items()}  # warms up as well
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(arguments.rounds):
        for name, epoch in epochs.items():
            since = time.perf_counter()
            epoch()
            seconds[name].append(time.perf_counter() - since)

    base = seconds["PyTorch, rows indexed in memory"]
    result = {
        name: {
            "seconds": statistics.median(times),
            "times_as_fast": statistics.median(b / t for b, t in zip(base, times, strict=True)),
            "loss": losses[name],
        }
        for name, times in seconds.items()
    }
    if arguments.json:
        print(json.dumps({"data": source, "threads": torch.get_num_threads(), "result": result}))
        return
    print(f"workload A on {source}, {torch.get_num_threads()} threads, one epoch, medians")
    for name, row in result.items():
        print(
            f"{name:34s} {row['seconds']:6.3f} s   {row['times_as_fast']:5.2f} x the indexed loop"
            f"   loss {row['loss']:.3f}"
        )


if __name__ == "__main__":
    main()
