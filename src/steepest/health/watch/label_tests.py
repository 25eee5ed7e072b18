"""Do the labels belong to their rows? Asked when a net learns its rows, and nothing of others.

That alone accuses nobody: a net that is stuck learns by heart, and so does one that has too few
rows of a hard task. The labels are fine if the nearest rows tell them, or if a new start of the net
on half of the rows tells those of the other half.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from steepest.engine import seed_generators
from steepest.health.check.data import (
    Table,
    class_indices,
    comparable,
    dependence,
    neighbours,
    row_hashes,
)
from steepest.health.clock import Clock
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence
from steepest.health.foreign import swallow
from steepest.health.replay.batches import Batch, mixed
from steepest.health.replay.replay import Setup, first_tensor, reinitialised
from steepest.health.replay.untouched import untouched
from steepest.health.watch.evaluations import decided

_FEWEST_ROWS = 200  # that are compared
_SIGNAL = 5.0  # deviations from guesses that know nothing
_STEPS, _RATES = 300, (3e-3, 3e-2)  # of the new start, with Adam


@dataclass(frozen=True)
class LabelTests:
    """hold: whether the labels belong to their rows, as far as one of the tests shows it."""

    hold: bool
    evidence: tuple[Evidence, ...] = ()


def tests_of_labels(started: Setup, batches: Sequence[Batch], seconds: float) -> LabelTests | None:
    """Of the model at its start and the first minibatches; None if nothing could be asked."""
    clock = Clock(seconds)
    asked: list[LabelTests] = []
    with untouched(), torch.enable_grad():
        batches = _once(batches)
        for test in (_by_neighbours, _by_a_new_start):
            try:
                result = test(started, batches, clock)
            except Exception as error:  # the user's code runs in here
                swallow(error)
                continue
            if result is not None and result.hold:
                return result
            asked += [result] if result is not None else []
    return LabelTests(False, tuple(e for one in asked for e in one.evidence)) if asked else None


def _by_neighbours(_: Setup, batches: Sequence[Batch], clock: Clock) -> LabelTests | None:
    labels = [class_indices(batch.target) for batch in batches]
    inputs = [batch.x for batch in batches]
    if not inputs or any(v is None for v in (*labels, *inputs)):
        return None
    shapes = {x.shape[1:] for x in inputs if x is not None}
    if len(shapes) != 1 or clock.over:
        return None
    X, y = (torch.cat([v for v in part if v is not None]) for part in (inputs, labels))
    table = Table(X, y).some(1000)
    if len(table) < _FEWEST_ROWS or not comparable(table):
        return None
    told = neighbours(table)
    return LabelTests(
        abs(told.dependence) > _SIGNAL,
        (
            Evidence(
                f"neighbours guess {told.accuracy:.1%} of the labels",
                "more, where labels belong to their rows",
                f"{told.dependence:.1f} deviations from chance, {len(table)} rows",
                Experiment.NEIGHBOURS,
            ),
        ),
    )


def _once(batches: Sequence[Batch]) -> list[Batch]:
    """Each row the first time that it comes: of later epochs it is its own nearest one."""
    known: set[int] = set()
    new = []
    for batch in batches:
        if batch.x is None:
            return []
        hashes = row_hashes(batch.x)
        rows = [k for k, h in enumerate(hashes) if h not in known]
        known.update(hashes)
        if len(rows) > 1:
            new.append(batch.take(torch.tensor(rows)))
    return new


def _by_a_new_start(started: Setup, batches: Sequence[Batch], clock: Clock) -> LabelTests | None:
    batches = mixed(batches)  # rows that come sorted teach nobody
    seen, held = batches[0::2], batches[1::2]
    best: tuple[float, float, int] | None = None
    for rate in _RATES:
        clone = started.copy()
        if clone is None or sum(b.rows for b in held) < _FEWEST_ROWS / 2:
            return None
        seed_generators(0)
        clone = replace(reinitialised(clone).neutral(rate))
        clone.model.train()
        for k in range(_STEPS):
            if clock.over:
                break
            if not math.isfinite(clone.step(seen[k % len(seen)])):
                break
        told = _told(clone.eval(), held)
        if told is not None and (best is None or told[0] > best[0]):
            best = told
    if best is None:
        return None
    z, accuracy, rows = best
    return LabelTests(
        z > _SIGNAL,
        (
            Evidence(
                f"a new start of the net tells {accuracy:.1%} of the labels of other rows",
                "more, where labels belong to their rows",
                f"{z:.1f} deviations from chance, {rows} rows",
                Experiment.NEW_START,
            ),
        ),
    )


def _told(setup: Setup, batches: Sequence[Batch]) -> tuple[float, float, int] | None:
    """Deviations from what answers that know nothing would hit, accuracy, and rows."""
    pairs = []
    with torch.no_grad():
        for batch in batches:
            z, y = first_tensor(setup.outputs(batch)), class_indices(batch.target)
            if z is None or y is None or z.ndim > 2 or len(z) != len(y):
                return None
            pairs.append((decided(z), y))
    said, truth = (torch.cat(part) for part in zip(*pairs, strict=True))
    return dependence(said, truth), float((said == truth).float().mean()), len(truth)
