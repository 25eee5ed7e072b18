"""Seconds of training to an accuracy on MNIST and Fashion-MNIST: python benchmarks/speedrun.

    python benchmarks/speedrun [--only fashion-91] [--peer torch] [--seeds 10] [--data FOLDER]

Each training runs in a process of its own, pinned to two processors; its line in the results file
is written before the next begins, and what is there is not run again, so the command goes on where
it was stopped. Contestants take turns, seed by seed. docs/speedrun.md has the rules.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.pop(1)  # this folder, whose names are modules of this package alone

from speedrun import contestants, data
from speedrun.goals import GOALS, chosen
from speedrun.table import loads, table
from tabular.results import Key, Line, append, read, require_same_conditions
from tabular.running import run_one

WORK = Path(__file__).with_name("work.py")
OURS = "steepest"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/speedrun",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="torchvision's folder, with MNIST/raw in it")
    parser.add_argument("--only", help=f"only these goals, a,b, of {', '.join(GOALS)}")
    peers = [name for name in contestants.CONTESTANTS if name != OURS]
    parser.add_argument("--peer", help=f"beside steepest only these, a,b, of {', '.join(peers)}")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processors", help="the two to be pinned to, 0,1; else the first")
    parser.add_argument("--limit", type=float, default=3600, help="seconds of one training")
    parser.add_argument("--retry", action="store_true", help="run again what had no figures")
    parser.add_argument("--results", type=Path, default=Path("speedrun.jsonl"))
    parser.add_argument("--report", action="store_true", help="run nothing, show what is there")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    goals = chosen(asked.only)
    names = [OURS, *(asked.peer.split(",") if asked.peer else contestants.CONTESTANTS)]
    names = [*dict.fromkeys(names)]
    if not asked.report:
        wanted = possible(goals, names, str(asked.data) if asked.data else None)
        run(in_turns(wanted, asked.seeds), asked)
    known = read(asked.results, key).items()
    lines = [x for (_, seed, _), x in known if seed < asked.seeds and of_this_recipe(x)]
    print(table(goals, names, lines, asked.seeds), *loads(lines), sep="\n")


def key(line: Line) -> Key:
    """What a line is the result of."""
    return line["goal"], line["seed"], line["contestant"]


def of_this_recipe(line: Line) -> bool:
    """Whether the recipe of its contestant is still the same."""
    return bool(line["entry"] == recipe(line["goal"], line["contestant"]))


def recipe(goal: str, contestant: str) -> Line:
    """The entry as JSON has it."""
    entry = asdict(GOALS[goal].entry_of(contestant))
    return {k: list(v) if isinstance(v, tuple) else v for k, v in entry.items()}


def possible(goals: Sequence[str], names: list[str], root: str | None) -> dict[str, list[str]]:
    """Goal -> contestants, of what is here; the rest is named, with the reason."""
    reasons = {name: contestants.absence(name) for name in names}
    reasons |= {name: data.absence(name, root) for name in {GOALS[g].data for g in goals}}
    for name, reason in reasons.items():
        if reason:
            print(f"not measured: {name} ({reason})")
    here = [name for name in names if reasons[name] is None]
    return {goal: here for goal in goals if reasons[GOALS[goal].data] is None}


def in_turns(wanted: dict[str, list[str]], seeds: int) -> list[Key]:
    """Contestant after contestant, seed by seed; every other seed in the opposite order."""
    return [
        (goal, seed, name)
        for goal, names in wanted.items()
        for seed in range(seeds)
        for name in names[:: 1 if seed % 2 == 0 else -1]
    ]


def run(wanted: list[Key], asked: argparse.Namespace) -> None:
    here = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0, 1]
    processors = [int(p) for p in asked.processors.split(",")] if asked.processors else here[:2]
    conditions: Line = {"threads": len(processors), "processors": processors}
    have = read(asked.results, key)
    require_same_conditions(have.values(), conditions, asked.results)
    settled = {
        k
        for k, line in have.items()
        if of_this_recipe(line) and (line["status"] == "done" or not asked.retry)
    }
    missing = [k for k in wanted if k not in settled]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} trainings are in {asked.results}")
    root = str(asked.data.resolve()) if asked.data else None
    for number, (goal, seed, contestant) in enumerate(missing, 1):
        names = {"goal": goal, "seed": seed, "contestant": contestant}
        found = run_one({**names, **conditions, "data": root}, asked.limit, WORK)
        entry = recipe(goal, contestant)
        append(asked.results, {**names, **conditions, "entry": entry, **found})
        figures = (
            f"{found['accuracy']:.2%} in {found['seconds']:.2f} s"
            if found["status"] == "done"
            else f"{found['status']}: {found.get('error')}"
        )
        print(f"{number}/{len(missing)} {goal} {seed} {contestant}: {figures}", flush=True)


if __name__ == "__main__":
    main()
