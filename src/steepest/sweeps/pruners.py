"""Pruners: trials that fall behind are ended between two epochs, and their place is free at once.

A trial is judged by the mean of its runs over the seeds, after 1, 3, 9, ... epochs (rungs).
"""

import math
from collections.abc import Iterator, Sequence

from steepest.errors import RecipeError, did_you_mean
from steepest.sweeps.metrics import Metric
from steepest.sweeps.record import SweepRecord
from steepest.sweeps.scheduler import Scheduler, Trial

PRUNERS = ("none", "halving", "asha", "optuna")
# Of the trials at a rung one in so many goes on, and to so many times the epochs.
_FACTOR = 3
GOES_ON, PRUNED = "goes on", "pruned"


def check_pruner(pruner: str, metric: Metric) -> None:
    """Raise RecipeError if there is no such pruner, or none that could judge by this metric."""
    if pruner.partition(" ")[0] not in PRUNERS:  # of Optuna with its class
        hint = did_you_mean(str(pruner), PRUNERS) or f": choose one of {', '.join(PRUNERS)}"
        raise RecipeError(f"unknown pruner {pruner!r:.40}{hint}")
    if pruner != "none" and metric.name.startswith("test"):
        raise RecipeError(
            f"pruner {pruner} judges trials on their way, and {metric.name} is measured at the end "
            "alone: choose another metric"
        )


def rungs_of(epochs: int) -> list[int]:
    """The epochs after which trials are judged: 1, 3, 9, ... below those of the recipe."""
    found, rung = [], 1
    while rung < epochs:
        found.append(rung)
        rung *= _FACTOR
    return found


def halving(
    scheduler: Scheduler, record: SweepRecord, trials: Sequence[Trial], metric: Metric
) -> Iterator[Trial]:
    """Successive halving: at each rung all wait for all, and the best third goes on.

    What is decided depends on the numbers alone, whatever the threads and whatever was killed.

    Args:
        scheduler: Trains them.
        record: Where decisions are written.
        trials: All of them.
        metric: What they are judged by.

    Source:
        Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
        optimization", AISTATS 2016.
    """
    left = list(trials)
    for rung in rungs_of(max(trial.recipe.epochs for trial in trials)):
        train_to(scheduler, left, rung)
        if scheduler.stopped:
            return
        ranked = sorted(left, key=lambda trial: (trial.value(metric, rung), trial.number))
        stay = {trial.number for trial in ranked[: max(1, len(ranked) // _FACTOR)]}
        for place, trial in enumerate(ranked):
            goes_on = trial.number in stay
            decision = GOES_ON if goes_on else PRUNED
            record.put_decision(trial.number, rung, trial.value(metric, rung), decision)
            if not goes_on:
                scheduler.prune(trial, _cause(rung, place, len(ranked), metric))
                yield trial
        left = [trial for trial in left if trial.number in stay]
    for trial in left:
        scheduler.start(trial, None)
    while (back := scheduler.next_back()) is not None:
        yield back


def asha(
    scheduler: Scheduler, record: SweepRecord, trials: Sequence[Trial], metric: Metric
) -> Iterator[Trial]:
    """Asynchronous successive halving: a trial goes on if it is in the best third so far.

    Nobody waits, so what is decided depends on who came first. Decisions are written down, and a
    sweep that is resumed takes those that it had taken.

    Args:
        scheduler: Trains them.
        record: Where decisions are written and read.
        trials: All of them.
        metric: What they are judged by.

    Source:
        Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020; trials that
        do not go on are stopped, not paused.
    """
    at_rung: dict[int, list[float]] = {}
    decided: dict[tuple[int, int], str] = {}
    for number, judged_at, value, decision in record.decisions():
        at_rung.setdefault(judged_at, []).append(value)
        decided[number, judged_at] = decision
    coming, under_way = iter(trials), dict[int, int | None]()

    def start(trial: Trial, done: int) -> None:
        target = next((r for r in rungs_of(trial.recipe.epochs) if r > done), None)
        under_way[trial.number] = target
        scheduler.start(trial, target)

    while True:
        while scheduler.is_hungry and not scheduler.stopped:
            trial = next(coming, None)
            if trial is None:
                break
            start(trial, 0)
        back = scheduler.next_back()
        if back is None:
            return
        rung = under_way.pop(back.number)
        if rung is None or (back.has_ended and (back.number, rung) not in decided):
            yield back
            continue
        value = back.value(metric, rung)
        if (back.number, rung) not in decided:
            values = at_rung.setdefault(rung, [])
            values.append(value)
            better = sum(other < value for other in values)
            first = better < max(1, math.ceil(len(values) / _FACTOR))
            decided[back.number, rung] = GOES_ON if first else PRUNED
            record.put_decision(back.number, rung, value, decided[back.number, rung])
        if decided[back.number, rung] == GOES_ON and not back.has_ended:
            start(back, rung)
            continue
        if not back.has_ended:
            values = at_rung[rung]
            place = sum(other < value for other in values)
            scheduler.prune(back, _cause(rung, place, len(values), metric))
        yield back


def train_to(scheduler: Scheduler, trials: Sequence[Trial], rung: int) -> None:
    """All of these, up to so many epochs."""
    for trial in trials:
        scheduler.start(trial, rung)
    while scheduler.next_back() is not None:
        pass


def _cause(rung: int, place: int, of: int, metric: Metric) -> str:
    return f"after {rung} epochs its {metric.name} was the {place + 1}. of {of} trials"
