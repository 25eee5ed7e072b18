"""The programs of real size: each plant in each of its nets, judged by `sp.check` alone.

A net of some millions of weights does not train to an accuracy within a benchmark, so nothing is
trained: the faults are facts that one pass shows, and the twin of all plants of a net is the net
as it is.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch

from faults.case import Case, step
from faults.judge import ACTIONABLE, wilson
from faults.large.plants import PLANTS, Plant
from faults.large.tasks import TASKS


@dataclass(frozen=True)
class LargeProgram:
    """A plant in a net; small: the same net of a few columns, for the suite."""

    net: str
    plant: Plant
    small: bool = False

    @property
    def name(self) -> str:
        return f"{self.net}-{self.plant.name}"

    def case(self, seed: int) -> Case:
        torch.manual_seed(seed)
        parts = TASKS[self.net](seed, self.small)
        self.plant.change(parts, seed)
        return parts.case(seed)


@dataclass
class LargeVerdict:
    """What the check said, and what it took. steps: its time in steps of the training."""

    program: str
    seed: int
    truth: str
    first: str = ""
    actionable: list[str] = field(default_factory=list)
    right: bool = False
    seconds: float = 0.0
    steps: float = 0.0


def large_programs(only: Sequence[str] = (), small: bool = False) -> list[LargeProgram]:
    """only: the beginnings of names, as RESNET or LSTM-maximized."""
    every = [LargeProgram(net, p, small) for net in TASKS for p in PLANTS if net in p.nets]
    return [p for p in every if not only or p.name.startswith(tuple(only))]


def seconds_of_a_step(net: str, seed: int = 0) -> float:
    """Of the training as it is, on the processor: the median of three, after one."""
    case = next(p for p in large_programs([f"{net}-as_it_is"])).case(seed)
    batch, taken = next(iter(case.train_loader)), []
    for _ in range(4):
        before = time.thread_time()
        step(case, batch)
        taken.append(time.thread_time() - before)
    return median(taken[1:])


def judged(program: LargeProgram, seed: int, seconds: float, a_step: float) -> LargeVerdict:
    """The check of a program with this budget."""
    import steepest as sp

    case, fault = program.case(seed), program.plant.fault
    verdict = LargeVerdict(program.name, seed, fault.truth if fault else "")
    before = time.thread_time()
    found = sp.check(
        case.model,
        case.loss_fn,
        case.optimizer,
        case.train_loader,
        case.val_loader,
        seconds=seconds,
    )
    verdict.seconds = time.thread_time() - before
    verdict.steps = verdict.seconds / a_step
    verdict.actionable = [f.code for f in found if f.severity in ACTIONABLE]
    verdict.first = verdict.actionable[0] if verdict.actionable else ""
    verdict.right = fault is not None and verdict.first in fault.right
    return verdict


def score_large(only: Sequence[str], seeds: int, seconds: float) -> Iterator[LargeVerdict]:
    """The verdicts one after the other; the time of a step is measured anew for each net."""
    a_step: dict[tuple[str, int], float] = {}
    for program in large_programs(only):
        for seed in range(seeds):
            if (program.net, seed) not in a_step:
                a_step[program.net, seed] = seconds_of_a_step(program.net, seed)
                judged(program, seed, 0.0, 1.0)  # what is imported at first is not counted
            yield judged(program, seed, seconds, a_step[program.net, seed])


def line_of(v: LargeVerdict) -> str:
    verdict = ("right" if v.right else "WRONG" if v.first else "MISSED") if v.truth else "silent"
    verdict = "ALARM" if not v.truth and v.actionable else verdict
    told = f"{v.truth or '-'} <- {' '.join(v.actionable) or '-'}"
    return f"{v.program:42} {v.seed} {verdict:6} {v.seconds:5.2f}s {v.steps:4.1f} steps  {told}"


def figures(verdicts: Sequence[LargeVerdict]) -> dict[str, Any]:
    """Shares with Wilson's intervals; a program and a seed count as one."""
    faulty, healthy = [v for v in verdicts if v.truth], [v for v in verdicts if not v.truth]
    alarms = [v for v in healthy if v.actionable]
    return {
        "first is right": _share(sum(v.right for v in faulty), len(faulty)),
        "healthy, warned": _share(len(alarms), len(healthy)),
        "steps, median": round(median(v.steps for v in verdicts), 2),
        "steps, greatest": round(max(v.steps for v in verdicts), 2),
        "runs": [asdict(v) for v in verdicts],
    }


def _share(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{hits} of {n} ({low:.1%} to {high:.1%})"
