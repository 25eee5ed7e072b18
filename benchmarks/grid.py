"""Dense nets of many sizes beside JAX and PyTorch, in one run.

    python benchmarks/grid.py --json grid.json [--picture grid.svg] [--threads 1] [--rounds 5]

Four charts: width by batch, depth by batch, classes by batch, zeros in the input by batch. A cell
is some steps of a ReLU net on drawn rows of 784 bytes with momentum 0.9, by steepest's native
engine, JAX (all steps in one compiled scan) and PyTorch (rows indexed in memory) in turns; nets and
weights are made before the clock starts. Its numbers, medians of the ratios round by round, are the
fastest peer's time over ours and our share of the FMA peak, which each round measures again. Cells
that the file has are not measured again, so a run that was stopped goes on. With --threads 1 the
process keeps to one processor, and so do the peers. On a machine that others use, --processor-time
counts the seconds that the process had of the processor, those of all its threads.
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = 784
BATCHES = (1, 8, 64, 512, 4096)
# A step above it would take seconds; a call has about so many operations, and so many steps.
MOST_FLOPS_OF_A_STEP = 60e9
FLOPS, LEAST_STEPS, MOST_STEPS = 2e9, 3, 1000
MOST_ROWS = 60_000
# The threads of the one before spin for a while when they have nothing more to do.
PAUSE = 0.05
# Labels are drawn, and the rate is so small that every order of the rows gives about the same loss.
LR, MOMENTUM, LOSS_TOLERANCE = 1e-4, 0.9, 0.1
AIM, LEAST_SHARE, HEAVY = (
    1.2,
    0.85,
    20e6,
)  # peers' time over ours; of the peak, above so many operations


@dataclass(frozen=True)
class Cell:
    """A net of `depth` hidden layers and its minibatch. zeros: share of the inputs."""

    batch: int
    width: int = 128
    depth: int = 1
    classes: int = 10
    zeros: float = 0.0

    @property
    def widths(self) -> tuple[int, ...]:
        return (FEATURES, *[self.width] * self.depth, self.classes)

    @property
    def name(self) -> str:
        zeros = f", {self.zeros:.0%} zeros" if self.zeros else ""
        return f"{FEATURES}-{self.depth}x{self.width}-{self.classes}, batch {self.batch}{zeros}"

    @property
    def flops(self) -> float:
        """Of a step: two for each weight and row forwards, four backwards, not to the inputs."""
        weights = [a * b for a, b in pairwise(self.widths)]
        return float(self.batch) * (6 * sum(weights) - 2 * weights[0])

    @property
    def steps(self) -> int:
        most = min(MOST_STEPS, MOST_ROWS // self.batch)
        return max(LEAST_STEPS, min(most, round(FLOPS / self.flops)))


CHARTS: dict[str, dict[Any, Callable[[int], Cell]]] = {
    "width": {w: lambda b, w=w: Cell(b, w, 2) for w in (8, 32, 128, 512, 2048, 4096)},
    "depth": {d: lambda b, d=d: Cell(b, depth=d) for d in (1, 2, 4, 8, 16)},
    "classes": {c: lambda b, c=c: Cell(b, classes=c) for c in (2, 100, 1000)},
    "zeros": {z: lambda b, z=z: Cell(b, zeros=z) for z in (0.5, 0.8, 0.95)},
}
ABOUT = {
    "width": "width of 2 hidden layers",
    "depth": "hidden layers of 128",
    "classes": "classes, behind one layer of 128",
    "zeros": "share of zeros in the input, one layer of 128",
}


def cells(chart: str) -> Iterator[tuple[Any, int, Cell]]:
    """The row, the batch and the cell of each place in a chart."""
    for row, make in CHARTS[chart].items():
        for batch in BATCHES:
            yield row, batch, make(batch)


def contestants(task: Any, threads: int) -> dict[str, Callable[[], float]]:
    """Each trains on from where it is, or from the first weights again, and gives the mean loss."""
    import torch

    from peers import jax_scan, steepest_engines, torch_loops
    from steepest.engine.native import NativeEngine

    plan = steepest_engines.plan(task, threads)
    engine = NativeEngine()
    engine.load(plan)
    model = torch_loops.net(task)
    optimizer = torch.optim.SGD(model.parameters(), lr=task.lr, momentum=task.momentum)
    x, y = torch.from_numpy(task.scaled), torch.from_numpy(task.targets)
    return {
        "steepest": lambda: engine.advance([task.lr] * plan.steps_per_epoch).loss,
        "JAX": jax_scan.epoch(task),
        "PyTorch": lambda: torch_loops.indexed_epoch(model, optimizer, x, y, task.batch_size),
    }


def task_of(cell: Cell) -> Any:
    """Drawn rows: a cell's workload."""
    from workloads import Workload

    rng = np.random.default_rng(0)
    inputs = rng.integers(1, 256, (cell.batch * cell.steps, FEATURES), dtype=np.uint8)
    inputs[rng.random(inputs.shape) < cell.zeros] = 0
    targets = rng.integers(0, cell.classes, len(inputs))
    return Workload(cell.name, inputs, targets, cell.widths, "relu", cell.batch, LR, MOMENTUM)


def measure(cell: Cell, threads: int, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Medians over the rounds; the first call of each contestant is not counted."""
    from steepest.engine.native import extension

    trained = contestants(task_of(cell), threads)
    losses = {name: train() for name, train in trained.items()}
    seconds: dict[str, list[float]] = {name: [] for name in trained}
    peaks = []
    for _ in range(rounds):
        for name, train in trained.items():
            time.sleep(PAUSE)
            since = clock()
            train()
            seconds[name].append((clock() - since) / cell.steps)
        peaks.append(float(extension().fma_peak(threads)))
    ours = seconds["steepest"]
    ratios = {
        name: statistics.median(t / o for t, o in zip(times, ours, strict=True))
        for name, times in seconds.items()
    }
    shares = [cell.flops / o / peak for o, peak in zip(ours, peaks, strict=True)]
    agree = all(math.isclose(v, losses["JAX"], rel_tol=LOSS_TOLERANCE) for v in losses.values())
    return {
        "mflop": cell.flops / 1e6,
        "microseconds": statistics.median(ours) * 1e6,
        "ratios": ratios,
        "fastest_peer": min(ratio for name, ratio in ratios.items() if name != "steepest"),
        "share_of_peak": statistics.median(shares),
        "losses_agree": agree,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--only", default=",".join(CHARTS), help="charts, by commas")
    asked = parser.parse_args()
    # Before JAX and PyTorch count the processors.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])

    clock = time.process_time if asked.processor_time else time.perf_counter
    found = json.loads(asked.json.read_text()) if asked.json.exists() else {}
    for chart in asked.only.split(","):
        for _, _, cell in cells(chart):
            if cell.name in found or cell.flops > MOST_FLOPS_OF_A_STEP:
                continue
            found[cell.name] = measure(cell, asked.threads, asked.rounds, clock)
            show(cell.name, found[cell.name])
            part = asked.json.with_suffix(".part")
            part.write_text(json.dumps(found, indent=1))
            part.replace(asked.json)
    summarise(found)
    if asked.picture:
        draw(found, asked.picture)


def show(name: str, row: dict[str, Any]) -> None:
    peers = ", ".join(f"{n} {r:.2f} x" for n, r in row["ratios"].items() if n != "steepest")
    doubt = "" if row["losses_agree"] else "   LOSSES DIFFER"
    print(
        f"{name:34s} {row['mflop']:9.2f} MFLOP {row['microseconds']:10.1f} us   {peers}"
        f"   {row['share_of_peak']:.0%} of the peak{doubt}",
        flush=True,
    )


def falls_short(row: dict[str, Any]) -> bool:
    heavy = row["mflop"] * 1e6 > HEAVY
    return row["fastest_peer"] < AIM or (heavy and row["share_of_peak"] < LEAST_SHARE)


def summarise(found: dict[str, dict[str, Any]]) -> None:
    heavy = [row["share_of_peak"] for row in found.values() if row["mflop"] * 1e6 > HEAVY]
    ratios = [row["fastest_peer"] for row in found.values()]
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    print(
        f"\n{len(found)} cells: the fastest peer takes {mean:.2f} times our time (geometric mean), "
        f"less than {AIM} times in {sum(r < AIM for r in ratios)}; we are below {LEAST_SHARE:.0%} "
        f"of the peak in {sum(s < LEAST_SHARE for s in heavy)} of {len(heavy)} above "
        f"{HEAVY / 1e6:.0f} MFLOP a step"
    )


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """A heatmap for each chart: the fastest peer's time over ours, and our share of the peak."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "grid"
    from matplotlib import pyplot as plt
    from matplotlib.colors import TwoSlopeNorm

    heights = [len(CHARTS[chart]) + 1.2 for chart in CHARTS]
    figure, axes = plt.subplots(
        len(CHARTS), 1, figsize=(7, 0.5 * sum(heights)), height_ratios=heights, layout="constrained"
    )
    colours = TwoSlopeNorm(math.log(AIM), math.log(0.6), math.log(12))
    for axis, chart in zip(axes, CHARTS, strict=True):
        rows = list(CHARTS[chart])
        values = np.full((len(rows), len(BATCHES)), np.nan)
        for row, batch, cell in cells(chart):
            if cell.name not in found:
                continue
            at, result = (rows.index(row), BATCHES.index(batch)), found[cell.name]
            values[at] = math.log(result["fastest_peer"])
            heavy = f"\n{result['share_of_peak']:.0%}" if cell.flops > HEAVY else ""
            weight = "bold" if falls_short(result) else "normal"
            label = f"{result['fastest_peer']:.2g}{heavy}"
            axis.text(at[1], at[0], label, ha="center", va="center", fontsize=8, weight=weight)
        axis.imshow(values, cmap="RdYlGn", norm=colours, aspect="auto")
        axis.set_yticks(
            range(len(rows)), [f"{row:.0%}" if isinstance(row, float) else row for row in rows]
        )
        axis.set_xticks(range(len(BATCHES)), BATCHES)
        axis.set_title(ABOUT[chart], fontsize=9, loc="left")
    axes[-1].set_xlabel("rows in a minibatch")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
