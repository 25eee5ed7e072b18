"""The number of threads that a training finds, beside fixed numbers, while processes are busy.

    python benchmarks/busy.py [--only A,B] [--busy 0,1,2,3] [--rounds 5] [--seconds 0.5]

For each workload, with 0 to 3 processes beside it that do nothing but count: the median seconds of
an epoch on one thread, on as many as there are processors, and on the number that the engine finds;
and the last by the better of the others. Each is a training of about as many seconds, from its
first step on. They take turns; what else the machine does is the load average.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from peers.steepest_engines import plan
from peers.torch_loops import net
from steepest.engine.native import NativeEngine
from steepest.processors import usable_threads
from workloads import Workload, workloads

CONTESTANTS = {"one": 1, "all": usable_threads(), "found": None}


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that count; they are gone afterwards."""
    counting = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def seconds_of_an_epoch(workload: Workload, threads: int | None, epochs: int) -> float:
    ready = plan(workload, threads)
    ready.model.load_state_dict(net(workload).state_dict())
    engine = NativeEngine()
    engine.load(ready)
    since = time.perf_counter()
    for _ in range(epochs):
        engine.advance([workload.lr] * ready.steps_per_epoch)
    return (time.perf_counter() - since) / epochs


def measure(workload: Workload, rounds: int, seconds: float) -> None:
    once = min(seconds_of_an_epoch(workload, 1, 1) for _ in range(2))
    epochs = max(1, round(seconds / once))
    taken: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, threads in CONTESTANTS.items():
            taken[name].append(seconds_of_an_epoch(workload, threads, epochs))
    ratios = [
        found / min(one, both)
        for one, both, found in zip(taken["one"], taken["all"], taken["found"], strict=True)
    ]
    best = min(statistics.median(taken["one"]), statistics.median(taken["all"]))
    print(
        f"  {workload.name}: "
        + ", ".join(f"{name} {statistics.median(t):.3f} s" for name, t in taken.items())
        + f"; found by the better median {statistics.median(taken['found']) / best:.2f}, "
        f"by the better of each round {statistics.median(ratios):.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="A,B,C,D,E")
    parser.add_argument("--busy", default="0,1,2,3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    asked = parser.parse_args()
    table = workloads()
    for processes in map(int, asked.busy.split(",")):
        with busy(processes):
            print(f"{processes} busy, load {os.getloadavg()[0]:.1f}")
            for name in asked.only.split(","):
                measure(table[name], asked.rounds, asked.seconds)


if __name__ == "__main__":
    main()
