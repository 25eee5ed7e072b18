"""Workloads A to F for steepest and every peer that is installed, in one run.

    python benchmarks/run.py [--rounds 5] [--only A,E] [--json results.json]

The contestants take turns, each after a pause, so the machine's drift hits all alike. For each
workload: the median seconds of an epoch, the ratio to steepest (median of the ratios round by
round), the loss (they must agree), and the share of the machine's measured FMA peak that the
arithmetic of a dense epoch in that time would be (skipping zeros can bring it above 1). Peers that
are not installed are named.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from steepest.engine.native import extension
from workloads import Workload, workloads

Epoch = Callable[[], float]

# Contestant -> module in peers/, function.
CONTESTANTS = {
    "steepest": ("steepest_engines", "epoch"),
    "steepest, 1 thread": ("steepest_engines", "on_one_thread"),
    "steepest, 2 threads": ("steepest_engines", "on_two_threads"),
    "steepest, torch engine": ("steepest_engines", "on_the_torch_engine"),
    "PyTorch, DataLoader": ("torch_loops", "with_loader"),
    "PyTorch, indexed": ("torch_loops", "indexed"),
    "torch.compile": ("torch_loops", "compiled"),
    "scikit-learn": ("sklearn_mlp", "epoch"),
    "skorch": ("skorch_net", "epoch"),
    "Lightning": ("lightning_trainer", "epoch"),
    "Keras on JAX": ("keras_jax", "epoch"),
    "JAX, scan": ("jax_scan", "epoch"),
}
MANY = {
    "steepest": ("steepest_engines", "epoch_of_many"),
    "JAX, vmap and scan": ("jax_scan", "epoch_of_many"),
}
MODELS = 16
# The threads of the one before spin for a while when they have nothing more to do.
PAUSE = 0.3
# The same mathematics in another order, and other first weights (scikit-learn): a few per cent.
LOSS_TOLERANCE = 0.06


def find(table: dict[str, tuple[str, str]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The contestants that are here, and why the others are not."""
    found, absent = {}, {}
    for name, (module, function) in table.items():
        try:
            found[name] = getattr(import_module(f"peers.{module}"), function)
        except ImportError as error:
            absent[name] = str(error)
    return found, absent


def measure(epochs: dict[str, Epoch], rounds: int) -> dict[str, Any]:
    """Seconds and ratios to the first of contestants that take turns.

    The first call of each is not counted.
    """
    losses = {name: epoch() for name, epoch in epochs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(rounds):
        for name, epoch in epochs.items():
            time.sleep(PAUSE)
            since = time.perf_counter()
            epoch()
            seconds[name].append(time.perf_counter() - since)
    first, ours = next(iter(seconds.items()))
    return {
        name: {
            "seconds": statistics.median(times),
            "ratio": statistics.median(t / o for t, o in zip(times, ours, strict=True)),
            "loss": losses[name],
            "loss_agrees": math.isclose(losses[name], losses[first], rel_tol=LOSS_TOLERANCE),
        }
        for name, times in seconds.items()
    }


def fma_peak() -> float:
    """Floating-point operations a second of all threads with nothing but FMA in registers.

    The best of several looks a second apart: a busy neighbour must not make the peak look low.
    """
    best = 0.0
    for _ in range(5):
        best = max(best, float(extension().fma_peak(os.cpu_count() or 1)))
        time.sleep(1)
    return best


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="A,B,C,D,E,F")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    chosen = arguments.only.split(",")
    singles, absent = find(CONTESTANTS)
    many, _ = find(MANY)
    peak = fma_peak()
    results: dict[str, Any] = {}
    every = workloads()
    for name, workload in every.items():
        if name in chosen:
            results[name] = measure(
                {n: make(workload) for n, make in singles.items()}, arguments.rounds
            )
            show(name, workload, results[name], peak)
    for name in ("A", "E") if "F" in chosen else ():
        made = {n: make(every[name], MODELS) for n, make in many.items()}
        results[f"F {name}"] = measure(made, arguments.rounds)
        show(f"F: {MODELS} models of {name}, per epoch of all", None, results[f"F {name}"], peak)
    print()
    for peer in singles:
        ratios = [r[peer]["ratio"] for n, r in results.items() if n in every and peer in r]
        if ratios and not peer.startswith("steepest"):
            print(f"{peer:22s} takes {geometric_mean(ratios):6.2f} times as long (geometric mean)")
    for name, reason in absent.items():
        print(f"not measured: {name} ({reason})")
    if arguments.json:
        conditions = {
            "processor": platform.processor() or platform.machine(),
            "instruction_set": extension().isa(),
            "cpus": os.cpu_count(),
            "fma_peak_gflops": peak / 1e9,
            "rounds": arguments.rounds,
            "python": platform.python_version(),
        }
        arguments.json.write_text(
            json.dumps({"conditions": conditions, "results": results}, indent=1)
        )


def show(name: str, workload: Workload | None, result: dict[str, Any], peak: float) -> None:
    print(f"\n{name}" + (f": {'-'.join(map(str, workload.widths))}" if workload else ""))
    for contestant, row in result.items():
        share = f"{workload.flops / row['seconds'] / peak:6.0%} of peak" if workload else ""
        doubt = "" if row["loss_agrees"] else "   LOSS DIFFERS"
        print(
            f"  {contestant:22s} {row['seconds']:8.4f} s {row['ratio']:8.2f} x {share}"
            f"   loss {row['loss']:.4f}{doubt}",
            flush=True,
        )


if __name__ == "__main__":
    main()
