"""Products of bfloat16 beside products of float32: what they bring, and what they cost.

    python benchmarks/precision.py [--only A,B,C,E] [--rounds 7] [--threads 1]
    python benchmarks/precision.py --accuracy digits breast_cancer t.parquet:class [--seeds 10]

Without --accuracy the time of the steps of each workload, both in turns: on one thread seconds of
the processor, on more of the clock. With it nets of 256-256 units are trained on each set (a name,
or a file and its target) with both, a pair for each seed, which differ in nothing else; what is
printed is the mean difference on the test part, its standard error, and how far seeds differ.
"""

import argparse
import os
import statistics
import sys
import time
from math import sqrt
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import steepest as sp
from peers.steepest_engines import plan
from peers.torch_loops import net
from steepest.engine.native import NativeEngine
from workloads import Workload, workloads

PRECISIONS = ("float32", "bf16")
# AdamW's step is about as long for a rounded gradient; a net of this size learns all of the sets.
RECIPE = sp.Recipe(
    hidden=(256, 256), optimizer="adamw", lr=1e-3, schedule="cosine", batch_size=128, epochs=15,
    test=0.25, threads=1, check=False, watch=False,
)  # fmt: skip


def measure(workload: Workload, rounds: int, threads: int) -> None:
    """Print the seconds of a step with both, and their ratio."""
    engines = {}
    for precision in PRECISIONS:
        ready = plan(workload, threads, precision=precision)
        ready.model.load_state_dict(net(workload).state_dict())
        engines[precision] = NativeEngine()
        engines[precision].load(ready)
        engines[precision].advance([workload.lr] * 10)
    steps = max(10, round(8e9 / (workload.flops / ready.steps_per_epoch)))
    clock = time.thread_time if threads == 1 else time.perf_counter
    taken: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for _ in range(rounds):
        for precision, engine in engines.items():
            since = clock()
            engine.advance([workload.lr] * steps)
            taken[precision].append((clock() - since) / steps)
    ratio = statistics.median(a / b for a, b in zip(*taken.values(), strict=True))
    each = ", ".join(f"{name} {statistics.median(t) * 1e3:.3f} ms" for name, t in taken.items())
    print(f"{workload.name}: {each}; {ratio:.2f} ({engines['bf16'].description})", flush=True)


def compare(name: str, seeds: int) -> None:
    """Print how the accuracy and the loss on the test part differ."""
    path, _, target = name.partition(":")
    data = sp.load_data(path, target=target or None)
    scores = {p: [] for p in PRECISIONS}  # type: dict[str, list[tuple[float, float]]]
    for seed in range(seeds):
        for precision in PRECISIONS:
            recipe = RECIPE.replace(seed=seed, precision=precision)
            score = sp.train(None, data, recipe, progress="none").scores["test"]
            scores[precision].append((100 * score.accuracy, score.loss))
    for i, what in enumerate(("accuracy, %", "log loss")):
        ours, theirs = ([score[i] for score in scores[p]] for p in PRECISIONS)
        apart = [b - a for a, b in zip(ours, theirs, strict=True)]
        error = statistics.stdev(apart) / sqrt(seeds)
        print(
            f"{Path(path).stem}: {what} {statistics.mean(ours):.4f}, with bf16 "
            f"{statistics.mean(apart):+.4f} (standard error {error:.4f}); one seed beside another "
            f"{statistics.stdev(ours):.4f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="A,B,C,E")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--accuracy", nargs="+", metavar="SET")
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    if asked.accuracy:
        for name in asked.accuracy:
            compare(name, asked.seeds)
        return
    table = workloads()
    for name in asked.only.split(","):
        measure(table[name], asked.rounds, asked.threads)


if __name__ == "__main__":
    main()
