"""What each setting of the toolbox costs on workload A, as a ratio to the plain step.

    python benchmarks/toolbox.py [--rounds 7] [--engine native] [--json toolbox.json]

One epoch of 784-100-10 on Fashion-MNIST, batch 32; the settings take turns with the plain step,
each after a pause, and the median of the ratios round by round is reported. Muon, which moves the
weights between hidden layers, has two of them and the plain step of that net beside it.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from torch import nn

import steepest as sp
from steepest.data import Preprocessing
from steepest.engine import Plan, TorchEngine
from steepest.engine.native import NativeEngine
from steepest.nn import mlp
from steepest.objective import Objective

SETTINGS: dict[str, dict[str, Any]] = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.01},
    "rmsprop": {"optimizer": "rmsprop"},
    "weight_decay": {"weight_decay": 1e-4},
    "l1": {"l1": 1e-5},
    "l2": {"l2": 1e-4},
    "clip_norm": {"clip_norm": 1.0},
    "clip_value": {"clip_value": 0.1},
    "accumulate 4": {"accumulate": 4},
    "ema": {"ema": 0.999},
    "dropout": {"dropout": 0.2},
    "batch_norm": {"batch_norm": True},
    "layer_norm": {"layer_norm": True},
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weight": {"class_weight": "balanced"},
    "weighted sampling": {"class_weight": "balanced", "sampling": "weighted"},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
    "cutout": {"cutout": 8},
    "shift": {"shift": 2},
    "muon": {"optimizer": "muon", "hidden": (100, 100)},
}
PLAIN = "plain"
PAUSE = 0.1
OF_THE_NET = ("dropout", "batch_norm", "layer_norm", "hidden")


def epoch(
    settings: dict[str, Any], engine: Callable[[], Any], threads: int | None
) -> Callable[[], float]:
    train = sp.load_data("fashion-mnist").train
    images, labels = np.asarray(train.inputs), np.asarray(train.labels, dtype=np.int64)
    samples = sp.Samples(images, labels, "benchmark")
    inputs = Preprocessing.fit(samples, "pixels").prepare(samples)
    of_net = {name: settings[name] for name in OF_THE_NET if name in settings}
    recipe = sp.Recipe(
        threads=threads, **{"lr": 0.01, **{k: v for k, v in settings.items() if k not in of_net}}
    )

    def run() -> float:
        shape = {"hidden": [100], "activation": "tanh", "seed": 0}
        model: nn.Module = mlp(784, outputs=10, **shape | of_net)  # type: ignore[arg-type]
        plan = Plan(model, Objective("multiclass"), inputs, labels, recipe)
        loaded = engine()
        loaded.load(plan)
        since = time.perf_counter()
        loaded.advance([recipe.base_lr] * plan.steps_per_epoch)
        return time.perf_counter() - since

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--engine", choices=["native", "torch"], default="native")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    engine = NativeEngine if arguments.engine == "native" else TorchEngine
    torch.manual_seed(0)
    wanted = arguments.only.split(",") if arguments.only else list(SETTINGS)
    epochs = {
        name: epoch(SETTINGS.get(name, {}), engine, arguments.threads) for name in (PLAIN, *wanted)
    }
    deep = {name for name in wanted if "hidden" in SETTINGS[name]}
    plain = dict.fromkeys(epochs, epochs[PLAIN])
    for name in deep:
        plain[name] = epoch({"hidden": SETTINGS[name]["hidden"]}, engine, arguments.threads)
    for run in (*epochs.values(), *plain.values()):
        run()
    ratios: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(arguments.rounds):
        for name, run in epochs.items():
            # The plain step right beside each setting, so that drift cancels.
            time.sleep(PAUSE)
            beside = plain[name]()
            ratios[name].append(run() / beside)
    found = {name: statistics.median(values) for name, values in ratios.items()}
    for name, ratio in found.items():
        print(f"{name:20s} {ratio:5.2f} x")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
