"""Whether a training ended, or its rate was gone, while there was more to learn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding, Severity
from steepest.health.findings.registry import make_finding, rule
from steepest.health.watch.optimizer_trace import OptimizerTrace

# Worth telling: this share of the loss of a net that knows nothing, and so many standard errors.
WORTH, ERRORS = 0.05, 3.0
# A schedule that has come down to this share of its highest rate has ended.
RESTING = 0.1
FEWEST = 3


@dataclass(frozen=True)
class Course:
    """A loss that falls: gain of as many steps again, with its standard error, and its rows.

    steps: of each measurement. rows: that each loss is the mean of.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    rows: int
    gain: float
    error: float


def still_falling(
    steps: Sequence[float], losses: Sequence[float], rows: int, chance: float
) -> Course | None:
    """The course of a loss that would fall further; None if it would not, or nobody can tell.

    Least squares of the last half of the losses on log(step), so that twice the steps gain the
    slope times log 2: over the last epochs together, and not from one difference. The gain has to
    be worth it, to exceed three of its standard errors and one of the mean loss itself (whose rows
    deviate about as much as it is large), and what came last has to fall too. Figures in
    docs/health/stopped_too_early.md.

    losses: after these steps. chance: the loss of a net that knows nothing.
    """
    t, y = np.asarray(steps, float), np.asarray(losses, float)
    if len(y) < FEWEST or not np.isfinite(y).all() or not (t > 0).all():
        return None
    last = max(FEWEST, math.ceil(len(y) / 2))
    slope, error = _line(np.log(t[-last:]), y[-last:])
    gain, error = -slope * math.log(2), error * math.log(2)
    noise = float(y[-1]) / math.sqrt(max(rows, 1))
    if not gain > max(WORTH * chance, ERRORS * error, noise):
        return None
    latest = max(FEWEST, len(y) // 4 + 1)
    if _line(t[-latest:], y[-latest:])[0] >= 0 or y[-1] >= y[:-1].min() + error:
        return None
    whole = tuple(int(step) for step in steps)
    return Course(whole, tuple(map(float, y)), rows, gain, error)


def _line(t: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the least-squares line, and its standard error."""
    centred = t - t.mean()
    spread = float((centred**2).sum())
    slope = float((centred * y).sum()) / spread
    residual = y - y.mean() - slope * centred
    return slope, math.sqrt(float((residual**2).sum()) / max(len(t) - 2, 1) / spread)


@rule(
    "STOPPED_TOO_EARLY",
    "it would still have learned",
    rank="generalisation",
    place=30,
    severity="warn",
)
def unfinished(course: Course, *, of: str, severity: Severity, fix: str, step: int) -> Finding:
    """STOPPED_TOO_EARLY. of: which loss it is."""
    first, last = course.losses[-max(FEWEST, math.ceil(len(course.losses) / 2))], course.losses[-1]
    return make_finding(
        "STOPPED_TOO_EARLY",
        f"the training ended while it was still learning: the {of} fell to the end",
        fix,
        (
            Evidence(
                f"{of} {first:.3g} -> {last:.3g} in the last half of the training",
                "level at the end",
                f"falling by {course.gain:.2g} +- {course.error:.1g} each time the steps double",
            ),
        ),
        ruled_out=(
            "noise: the fall is three of its standard errors, over all of these measurements",
        ),
        confidence="suspected",
        step=step,
        severity=severity,
    )


def fell_too_soon(
    optimizer: OptimizerTrace, at: int, losses: tuple[float, float], steps: int
) -> Finding:
    """SCHEDULE_COLLAPSE, by what the highest rate still brings.

    at: the step from which on the rate is gone. losses: after these steps from the last weights on,
    at the rate as it is and at the highest one.
    """
    as_it_is, higher = losses
    return make_finding(
        "SCHEDULE_COLLAPSE",
        f"the learning rate has fallen to {optimizer.lr():.2g} after {at} of {optimizer.steps} "
        "steps, and there was more to learn",
        "a slower schedule; of ReduceLROnPlateau the mode ('max' for an accuracy) and the patience",
        (
            Evidence(
                f"loss {as_it_is:.3g} after {steps} more steps as it is",
                f"{higher:.3g} at {optimizer.highest_lr:.2g}, on minibatches not passed before",
                experiment=Experiment.STEPS_AGAIN,
            ),
        ),
        ruled_out=("the end of a schedule: the rate is gone in the first half of the steps",),
        confidence="confirmed",
        step=optimizer.steps,
    )
