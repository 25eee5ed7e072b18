"""A training that had learned and lost it: what its experiments found, in words."""

import math
from dataclasses import dataclass

from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, make_finding, rule
from steepest.health.watch.trace import TrainingTrace

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

_FOLLOWS = EVERYTHING | {"LEARNING_LOST", "STOPPED_TOO_EARLY", "CLASS_IMBALANCE_COLLAPSE"}


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

    setting: of the one that does harm, a rate or a momentum.
    """

    steps: int
    setting: float
    harmed: float
    kept: float


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
    return make_finding(
        "LR_ROSE",
        f"the learning rate rose from {state.rate:g} to {tried.setting:g} after step {state.step}, "
        "and what was learned is lost",
        f"a schedule that goes no higher than {state.rate:g} here: gamma below 1, a lower max_lr",
        _evidence(state, tried, f"at lr {tried.setting:g}", f"at lr {state.rate:g}"),
        ruled_out=("data and model: the same steps without the rise keep what was learned",),
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
    "LEARNING_LOST",
    "what was learned is lost",
    rank="dynamics",
    place=5,
    severity="warn",
)
def learning_lost(trace: TrainingTrace, best: float, state: Good | None, loss: float) -> Finding:
    """No what-if shows why. loss: of the first minibatches, at the weights of now."""
    at = f"at step {state.step}" if state else "at its best"
    hits = list(trace.train_hits)[-5:]
    evidence = [
        Evidence(
            f"loss {loss:.3g} of the first minibatches, at the weights of now",
            f"about {best:.3g}, as {at}",
        )
    ]
    if state and hits and math.isfinite(state.accuracy):
        now = sum(hits) / len(hits)
        evidence.append(Evidence(f"training accuracy {now:.1%}", f"{state.accuracy:.1%}, as {at}"))
    return make_finding(
        "LEARNING_LOST",
        f"what was learned is lost: the loss was {best:.3g} {at}, and stays far above it",
        "look at what the loop does otherwise since then: inputs, labels, loss, parts of the model",
        tuple(evidence),
        ruled_out=_ruled_out(state),
        confidence="suspected",
        step=trace.steps,
    )


def _ruled_out(state: Good | None) -> tuple[str, ...]:
    harder = "rows that are harder now: those of the first minibatches are lost too"
    if state is None:
        return (harder,)
    same = "the optimizer's steps on the first rows: taken again from there they do no harm"
    return harder, same


def _evidence(state: Good, tried: Tried, with_it: str, without: str) -> tuple[Evidence, ...]:
    return (
        Evidence(
            f"loss {state.loss:.3g} -> {tried.harmed:.3g} in {tried.steps} steps {with_it}",
            f"{tried.kept:.3g} {without}",
            f"from step {state.step}, same weights, same minibatches",
            Experiment.FROM_GOOD_STATE,
        ),
    )
