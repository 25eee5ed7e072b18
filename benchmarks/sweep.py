"""What a sweep costs beside its trainings, and how long its record takes to read.

    python benchmarks/sweep.py [--runs N] [--json FILE]

Each part is measured in one process, one after the other, and told as a ratio: the time of a sweep
of N runs on workload E's net (one epoch of 2,000 rows) over the time of the same native trainings
alone, one a thread (`advance_many`); the same for 200 runs on digits; and the record of 100,000
runs, read as a frame.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import steepest as sp
from steepest.engine import NativeEngine, advance_many
from steepest.sweeps.preparations import Preparations
from steepest.sweeps.record import RunRow, SweepRecord


def on_workload_e(runs: int) -> dict[str, Any]:
    """20 columns, two hidden layers of 32, 2 classes, one epoch of 2,000 rows in batches of 32."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2200, 20)).astype(np.float32)
    targets = (inputs @ rng.normal(size=20) > 0).astype(np.int64)
    recipe = sp.Recipe(hidden=(32, 32), epochs=1, momentum=0.9, validation=1 / 11)
    rates = list(np.geomspace(0.01, 0.1, max(1, runs // 4)))
    return compared(recipe, {"lr": rates}, (inputs, targets), seeds=4)


def on_digits() -> dict[str, Any]:
    """A grid of 200 runs of 10 epochs."""
    space = {"lr": [0.01, 0.03, 0.1, 0.3, 1.0], "hidden": [(32,), (64,)], "momentum": [0.0, 0.9]}
    return compared(sp.Recipe(epochs=10), space, sp.load_data("digits"), seeds=10)


def compared(recipe: sp.Recipe, space: dict[str, Any], data: Any, seeds: int) -> dict[str, Any]:
    """A sweep with its record, and the steps of its runs alone."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        sweep = sp.sweep(recipe, space, data=data, seeds=seeds, out=Path(folder, "sweep"))
        whole = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in Path(folder, "sweep").glob("sweep.sqlite*"))
        steps = steps_alone(sweep, data)
        runs = len(sweep)
        sweep.close()
    return {
        "runs": runs,
        "sweep_seconds": whole,
        "steps_seconds": steps,
        "beside_the_steps_ms_a_run": 1e3 * (whole - steps) / runs,
        "share_beside_the_steps": 1 - steps / whole,
        "bytes_a_run": size / runs,
    }


def steps_alone(sweep: sp.Sweep, data: Any) -> float:
    """The seconds that the steps of all runs take, one a thread, on engines that are loaded."""
    shared, seconds = Preparations(None, data), 0.0
    names = sweep.results["run"].to_list()
    for first in range(0, len(names), 200):
        engines, rates = [], []
        for name in names[first : first + 200]:
            prepared = shared.of(sweep.recipe_of(name))
            assert isinstance(prepared.choice.engine, NativeEngine)
            prepared.choice.engine.load(prepared.plan)
            engines.append(prepared.choice.engine)
            rates.append([prepared.lr] * prepared.plan.total_steps)
        begun = time.perf_counter()
        advance_many(engines, rates)
        seconds += time.perf_counter() - begun
    return seconds


def reading(runs: int = 100_000) -> dict[str, Any]:
    """A record of so many runs, read as a frame."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = SweepRecord.create(folder)
        facts = {"recipe": sp.Recipe().to_toml(), "space": {"lr": [0.1]}, "metric": "val_loss"}
        record.put_facts({**facts, "keep_best": 1})
        record.put_trials(0, [{"lr": 0.001 * i} for i in range(runs // 10)])
        record.put_plan((i // 10, i % 10, f"{i:016x}") for i in range(runs))
        for i in range(runs):
            row = RunRow(f"{i:016x}", "finished", None, 1, 10, 0.5, 0.9, 0.6, 0.8, seconds=0.1)
            record.put_run(row, [])
        record.close()
        begun = time.perf_counter()
        sweep = sp.load_sweep(folder)
        table = sweep.results
        seconds = time.perf_counter() - begun
        sweep.close()
        size = (folder / "sweep.sqlite").stat().st_size
    return {"runs": table.height, "seconds": seconds, "bytes_a_run": size / runs}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {"workload_e": on_workload_e(options.runs), "digits": on_digits(), "read": reading()}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
