"""Convolutional nets, one epoch, beside PyTorch: python benchmarks/convolution.py.

PyTorch's loop indexes rows in memory, in both of its layouts. The contestants take turns, each
after a pause; for each net the median seconds, the ratio to steepest (median of the ratios round by
round), and which share of the measured FMA peak the net's multiply-adds in that time are:
forwards, to the weights, and to the inputs of every layer but the first.
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import steepest as sp
from peers.torch_loops import indexed_epoch
from run import fma_peak, measure
from steepest.data import Preprocessing
from steepest.engine import Plan
from steepest.engine.flops import FlopCounter
from steepest.engine.native import NativeEngine
from steepest.objective import Objective

LR, MOMENTUM = 0.02, 0.9
Epoch = Callable[[], float]


def lenet() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def normalised() -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in ((1, 32), (32, 64), (64, 64)):
        conv = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(fan_out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 9, 10))


def wide() -> nn.Sequential:
    """Filters beyond a core's own cache: where `engine = "auto"` takes torch."""
    return nn.Sequential(
        *(nn.Conv2d(1, 64, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(64, 256, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)),
    )


@dataclass(frozen=True, eq=False)
class Net:
    """A net with its minibatches: build makes it, always with the same weights."""

    build: Callable[[], nn.Sequential]
    batch_size: int

    def made(self) -> nn.Sequential:
        torch.manual_seed(0)
        return self.build()

    @property
    def flops(self) -> float:
        """Of one row: three times forwards, but for the first layer's way to the inputs."""
        whole, first = self.build(), self.build()[:1]
        row, counts = torch.zeros(1, 1, 28, 28), []
        for model in (whole, first):
            with FlopCounter(model) as counter, torch.no_grad():
                model.eval()(row)
            counts.append(counter.flops(1))
        return 3 * counts[0] - counts[1]


NETS = {
    "LeNet-5, 128": Net(lenet, 128),
    "LeNet-5, 32": Net(lenet, 32),
    "32-64-64 of 3 x 3, 128": Net(normalised, 128),
    "64-256-256-256 of 3 x 3, 64": Net(wide, 64),
}


def native(net: Net, images: NDArray[np.uint8], labels: NDArray[np.int64], threads: int) -> Epoch:
    samples = sp.Samples(images, labels, "benchmark")
    inputs = Preprocessing.fit(samples, "pixels").prepare(samples)
    recipe = sp.Recipe(lr=LR, momentum=MOMENTUM, batch_size=net.batch_size, threads=threads)

    def run() -> float:
        plan = Plan(net.made(), Objective("multiclass"), inputs, labels, recipe)
        engine = NativeEngine()
        engine.load(plan)
        stats = engine.advance([LR] * plan.steps_per_epoch)
        engine.export()
        return stats.loss

    return run


def pytorch(
    net: Net, images: NDArray[np.uint8], labels: NDArray[np.int64], layout: torch.memory_format
) -> Epoch:
    x = torch.from_numpy((images / 255).astype(np.float32)).contiguous(memory_format=layout)
    y = torch.from_numpy(labels)

    def run() -> float:
        model = net.made().to(memory_format=layout)  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
        return indexed_epoch(model, optimizer, x, y, net.batch_size)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=60_000, help="of Fashion-MNIST")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default=None, help="what the net's name begins with")
    parser.add_argument("--alone", action="store_true", help="steepest without PyTorch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    train = sp.load_data("fashion-mnist").train
    images = np.ascontiguousarray(train.inputs).reshape(-1, 1, 28, 28)[: options.rows]
    labels = np.asarray(train.labels, dtype=np.int64)[: options.rows]
    peak, results = fma_peak() * options.threads / (os.cpu_count() or 1), {}
    for name, net in NETS.items():
        if options.only and not name.startswith(options.only):
            continue
        contestants = {"steepest": native(net, images, labels, options.threads)}
        if not options.alone:
            contestants |= {
                "PyTorch, NCHW": pytorch(net, images, labels, torch.contiguous_format),
                "PyTorch, channels last": pytorch(net, images, labels, torch.channels_last),
            }
        results[name] = measure(contestants, options.rounds)
        show(name, net.flops * len(images), results[name], peak)
    if options.json:
        conditions: dict[str, Any] = {"rows": len(images), "threads": options.threads}
        conditions["fma_peak_gflops"] = peak / 1e9
        found = {"conditions": conditions, "results": results}
        options.json.write_text(json.dumps(found, indent=1))


def show(name: str, flops: float, result: dict[str, dict[str, float]], peak: float) -> None:
    print(f"\n{name}: {flops / 1e9:.0f} GFLOP, peak {peak / 1e9:.0f} GFLOP/s")
    for contestant, row in result.items():
        print(
            f"  {contestant:22s} {row['seconds']:8.3f} s {row['ratio']:6.2f} x "
            f"{flops / row['seconds'] / peak:5.0%} of the peak   loss {row['loss']:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
