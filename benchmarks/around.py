"""What stands around the steps, as ratios of processor time: python benchmarks/around.py.

The check before a small run; a LeNet on the torch engine, all of sp.train beside a plain loop of as
many steps; a run on labels that cannot be learned, with and without health.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import steepest as sp

EPOCHS, BATCH = 3, 128


def seconds(run: Callable[[], object], rounds: int) -> float:
    """The median of the processor's time, after one run that is not counted."""
    found = []
    for _ in range(rounds + 1):
        since = time.process_time()
        run()
        found.append(time.process_time() - since)
    return statistics.median(found[1:])


def lenet() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def plain_loop(X: torch.Tensor, y: torch.Tensor) -> None:
    model = lenet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(X)).split(BATCH):
            loss = F.cross_entropy(model(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def train(model: nn.Module | None, X: Any, y: Any, **settings: Any) -> sp.Run:
    return sp.train(model, (X, y), progress="none", threads=1, **settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=12_800, help="of Fashion-MNIST")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    digits, labels = load_digits(return_X_y=True)

    net: dict[str, Any] = {"hidden": (100,)}
    unchecked = seconds(lambda: train(None, digits, labels, **net, check=False), options.rounds)
    checked = seconds(lambda: train(None, digits, labels, **net), options.rounds)
    extra = 1000 * (checked - unchecked)
    print(f"digits, 10 epochs: {checked:.3f} s, of it the check before {extra:.0f} ms")

    images = sp.load_data("fashion-mnist").train
    X = np.asarray(images.inputs)[: options.rows].reshape(-1, 1, 28, 28)
    y = np.asarray(images.labels, dtype=np.int64)[: options.rows]
    scaled, targets = torch.from_numpy((X / 255).astype(np.float32)), torch.from_numpy(y)
    plain = seconds(lambda: plain_loop(scaled, targets), options.rounds)
    settings: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH, "engine": "torch"}
    settings |= {"validation": 0.0, "scaling": "pixels", "lr": 0.1}
    ours = seconds(lambda: train(lenet(), X, y, **settings), options.rounds)
    print(f"LeNet, {EPOCHS} epochs of {options.rows} rows: {ours / plain:.2f} x a plain loop")

    wrong = np.random.default_rng(0).permutation(labels)
    net["epochs"] = 100
    without = seconds(lambda: train(None, digits, wrong, **net, watch=False), options.rounds)
    asked = seconds(lambda: train(None, digits, wrong, **net), options.rounds)
    print(f"labels that cannot be learned, 100 epochs: {asked / without:.2f} x without health")


if __name__ == "__main__":
    main()
