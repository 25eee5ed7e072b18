"""Many trainings of workload E's net by a sweep, and by those who also train many.

    python benchmarks/sweep_peers.py [--runs 10000] [--json benchmarks/sweep_peers.json] [--fresh]

A training is one epoch of 2,000 rows (20-32-32-2, batches of 32, momentum) at some learning rate
and seed, with the loss on 200 rows after it. steepest writes its durable record meanwhile. It takes
turns with each peer, five times, and the ratio is the median of five: the machine's drift hits both
alike. Each peer has its best configuration of a few. What is in the JSON
already is not measured again, so the command can be stopped and given again. Peers that are not
installed are named.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable  # noqa: TC003
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

import steepest as sp
from peers.sweep_task import Task, task

# Peer -> module in peers/; each has `contestants(task)`: by configuration, a function of a number
# of runs, which trains them and gives their mean validation loss; and RUNS, how many are measured.
PEERS = {
    "JAX, vmap and scan": "sweep_jax",
    "joblib over scikit-learn": "sweep_joblib",
    "Optuna over scikit-learn": "sweep_optuna",
    "Ray Tune over scikit-learn": "sweep_ray",
}
# A configuration is chosen by a so-manieth of the runs; then steepest and the peer take turns.
_RUNS_TO_CHOOSE, _ROUNDS = 5, 5


def by_steepest(task: Task, runs: int) -> tuple[float, float]:
    """Seconds and mean loss of a sweep with its record."""
    seeds = 4
    rates = task.rates(runs // seeds)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        sweep = sp.sweep(
            sp.Recipe(hidden=(32, 32), epochs=1, lr=0.05, momentum=0.9, batch_size=32, test=0.0),
            {"lr": rates.tolist()},
            data=task.for_steepest(),
            seeds=seeds,
            out=Path(folder, "sweep"),
            progress="none",
        )
        seconds = time.perf_counter() - begun
        loss = float(sweep.results["val_loss"].mean())  # type: ignore[arg-type]
        sweep.close()
    return seconds, loss


def resident() -> float:
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(task: Task, runs: int) -> dict[str, float]:
    """What the process grows by in a sweep of a fifth of the runs, and then in one of all."""
    by_steepest(task, 200)
    found = {}
    for count in (runs // 5, runs):
        before = resident()
        seconds, _ = by_steepest(task, count)
        found[f"MiB more after {count} runs"] = resident() - before
        found[f"ms a run of {count}"] = 1e3 * seconds / count
    return found


def measured(task: Task, module: Any, most: int) -> dict[str, Any]:
    """The best configuration of a peer beside sweeps of steepest's."""
    runs = min(most, module.RUNS)
    tried: dict[str, float] = {}
    contestants: dict[str, Callable[[int], float]] = module.contestants(task)
    for name, train in contestants.items():
        train(runs // _RUNS_TO_CHOOSE)  # compiled, imported, started
        begun = time.perf_counter()
        train(runs // _RUNS_TO_CHOOSE)
        tried[name] = 1e3 * (time.perf_counter() - begun) / (runs // _RUNS_TO_CHOOSE)
    best = min(tried, key=lambda name: tried[name])
    ours, theirs, losses, own = [], [], [], 0.0
    for _ in range(_ROUNDS):
        seconds, own = by_steepest(task, most // _ROUNDS)
        ours.append(1e3 * seconds / (most // _ROUNDS))
        begun = time.perf_counter()
        losses.append(contestants[best](runs // _ROUNDS))
        theirs.append(1e3 * (time.perf_counter() - begun) / (runs // _ROUNDS))
    return {
        "ratio": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        "ms a run": theirs,
        "steepest, ms a run": ours,
        "runs": runs,
        "configuration": best,
        "tried, ms a run": tried,
        "mean validation loss": losses[-1],
        "steepest's": own,
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure what is missing, print, and write after each peer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--only", help="peers, by parts of their names with commas between")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    if options.json.exists() and not options.fresh:
        found = json.loads(options.json.read_text())
    found["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
    work = task()
    asked = (options.only or "").lower().split(",")
    for name, module in PEERS.items():
        if name in found or not any(part in name.lower() for part in asked):
            continue
        try:
            found[name] = measured(work, import_module(f"peers.{module}"), options.runs)
        except ImportError as error:
            print(f"{name}: not installed ({error})")
            continue
        print(name, json.dumps(found[name], indent=1), flush=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if "memory" not in found:
        found["memory"] = memory(work, options.runs)
        print("memory", json.dumps(found["memory"], indent=1))
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
