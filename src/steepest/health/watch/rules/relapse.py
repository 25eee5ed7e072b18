"""A training that had learned and lost it: what its experiments found, in words."""

import math
from dataclasses import dataclass

from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, make_finding, rule

# What the watch of a loop and a run of our own go by alike.
LEARNED = 0.2  # share of the loss of a net that knows nothing: what is worth losing
LOST, KEPT = 0.5, 0.25  # shares of what was learned
AS_GOOD = 1.1  # of the best mean loss: a state is kept
LATER = 1.125  # the ratio of the steps of two such states: 20 in ten times the steps
WAIT, WAIT_SHARE = (
    100,
    0.25,
)  # a warm restart comes back: so many steps, and a share of those before
ROSE = 1.5  # a rate so many times as high has risen
LOWER = 0.1  # of a rate that may be too high

_COURSE_AFTER = frozenset({"STOPPED_TOO_EARLY", "CLASS_IMBALANCE_COLLAPSE"})
_FOLLOWS = EVERYTHING | {"LEARNING_LOST"} | _COURSE_AFTER


@dataclass(frozen=True)
class Good:
    """A state at which all was well. accuracy: NaN if nobody knows."""

    step: int
    loss: float
    rate: float
    momentum: float = 0.0
    accuracy: float = math.nan

    def having_lost(self, share: float, untrained: float) -> float:
        """The loss at which this share of what was learned is lost.

        untrained: the loss of a net that has learned nothing.
        """
        return self.loss + share * (untrained - self.loss)


@dataclass(frozen=True)
class Tried:
    """Two what-ifs from one state, and the losses at their ends.

    setting: of the one that does harm, a rate or a momentum. as_it_was: it took the rates that the
    run itself had, of which this is the highest.
    """

    steps: int
    setting: float
    harmed: float
    kept: float
    as_it_was: bool = False


@rule(
    "LR_ROSE",
    "the learning rate rose, and what was learned is lost",
    rank="optimizer",
    place=5,
    severity="warn",
    explains=_FOLLOWS,
    confirmed_by=(Experiment.FROM_GOOD_STATE,),
)
def rate_rose(step: int, state: Good, tried: Tried) -> Finding:
    harmed = f"at lr {tried.setting:g}"
    if tried.as_it_was:
        harmed = f"at the rates that they had, up to {tried.setting:g}"
    return make_finding(
        "LR_ROSE",
        f"the learning rate rose from {state.rate:g} to {tried.setting:g} after step {state.step}, "
        "and what was learned is lost",
        f"a schedule that goes no higher than {state.rate:g} here: gamma below 1, a lower max_lr",
        _evidence(state, tried, harmed, f"at lr {state.rate:g}"),
        ruled_out=("data and model: the same steps without the rise keep what was learned",),
        confidence="confirmed",
        step=step,
    )


def rate_rose_at_once(step: int, start: Good, tried: Tried, lower: float) -> Finding:
    """LR_ROSE, of a rate that rose before anything was learned. start: the first weights."""
    return make_finding(
        "LR_ROSE",
        f"the learning rate rose from {start.rate:g} to {tried.setting:g}, and nothing is learned",
        f"a schedule that goes no higher than {lower:g}: a lower max_lr, a shorter warm-up",
        _evidence(start, tried, f"at lr {tried.setting:g}", f"at lr {lower:g}"),
        ruled_out=("data and model: the same steps at a lower rate learn",),
        confidence="confirmed",
        step=step,
    )


@rule(
    "MOMENTUM_ROSE",
    "the momentum rose, and what was learned is lost",
    rank="optimizer",
    place=6,
    severity="warn",
    explains=_FOLLOWS,
    confirmed_by=(Experiment.FROM_GOOD_STATE,),
)
def momentum_rose(step: int, state: Good, tried: Tried) -> Finding:
    return make_finding(
        "MOMENTUM_ROSE",
        f"the momentum rose from {state.momentum:g} to {tried.setting:g} after step {state.step}, "
        "and what was learned is lost",
        f"momentum={state.momentum:g}, or a rate {_times(state.momentum, tried.setting)} with it",
        _evidence(
            state, tried, f"with momentum {tried.setting:g}", f"with momentum {state.momentum:g}"
        ),
        ruled_out=("the learning rate: it is the same in both",),
        confidence="confirmed",
        step=step,
    )


def _times(before: float, after: float) -> str:
    return f"{(1 - after) / (1 - before):.2g} times as high"


def rate_too_high(step: int, state: Good, tried: Tried, lower: float) -> Finding:
    """LR_TOO_HIGH, of a rate that did no harm at first."""
    return make_finding(
        "LR_TOO_HIGH",
        f"the learning rate {tried.setting:g} is too high from step {state.step} on: what was "
        f"learned is lost, and at {lower:g} it is kept",
        f"lr={lower:g} from there on, by a schedule that falls",
        _evidence(state, tried, f"at lr {tried.setting:g}", f"at lr {lower:g}"),
        ruled_out=("model and data: the same weights keep it on the same batches at a lower rate",),
        confidence="confirmed",
        step=step,
    )


@rule(
    "FORWARD_CHANGED",
    "the model gives something else than it did",
    rank="program",
    place=105,
    severity="warn",
    explains=_FOLLOWS | {"LR_ROSE", "MOMENTUM_ROSE"},
    confirmed_by=(Experiment.AS_THEY_WERE,),
)
def forward_changed(step: int, state: Good, after: tuple[int, float], again: float) -> Finding:
    """after: steps after the good state and their mean loss; again: when they were taken again."""
    steps, loss = after
    return make_finding(
        "FORWARD_CHANGED",
        f"the model gives something else than it did at step {state.step}: the weights of then do "
        "not know any more what they knew",
        "look at what forward() goes by beside weights and input: a counter, a flag, a layer that "
        "took the place of another",
        (
            Evidence(
                f"loss {again:.3g} in the {steps} steps after step {state.step}, taken again from "
                "its weights as they were",
                f"{loss:.3g}, as it was then",
                experiment=Experiment.AS_THEY_WERE,
            ),
        ),
        ruled_out=("rates, rows and weights: they are those of then",),
        confidence="confirmed",
        step=step,
    )


@rule(
    "LEARNING_LOST",
    "what was learned is lost",
    rank="dynamics",
    place=5,
    severity="warn",
    explains=_COURSE_AFTER,
)
def learning_lost(
    step: int,
    at: int | None,
    best: float,
    measured: tuple[float, str],
    *,
    fix: str,
    ruled_out: tuple[str, ...],
    accuracy: tuple[float, float] = (math.nan, math.nan),
) -> Finding:
    """No what-if shows why.

    at: the step of the last good state; None if none was kept. measured: a loss at the weights of
    now, and of which rows. accuracy: of the training, now and then; NaN if nobody knows.
    """
    when = "at its best" if at is None else f"at step {at}"
    loss, rows = measured
    evidence = [
        Evidence(
            f"loss {loss:.3g} of {rows}, at the weights of now", f"about {best:.3g}, as {when}"
        )
    ]
    now, then = accuracy
    if math.isfinite(now) and math.isfinite(then):
        evidence.append(Evidence(f"training accuracy {now:.1%}", f"{then:.1%}, as {when}"))
    return make_finding(
        "LEARNING_LOST",
        f"what was learned is lost: the loss was {best:.3g} {when}, and stays far above it",
        fix,
        tuple(evidence),
        ruled_out=ruled_out,
        confidence="suspected",
        step=step,
    )


def _evidence(state: Good, tried: Tried, with_it: str, without: str) -> tuple[Evidence, ...]:
    return (
        Evidence(
            f"loss {state.loss:.3g} -> {tried.harmed:.3g} in {tried.steps} steps {with_it}",
            f"{tried.kept:.3g} {without}",
            f"from step {state.step}, same weights, same minibatches",
            Experiment.FROM_GOOD_STATE,
        ),
    )
