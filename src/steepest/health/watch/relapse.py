"""When what was learned is lost again: steps from the last good state, with one thing changed."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from steepest.engine import seed_generators
from steepest.health.clock import Clock
from steepest.health.findings.finding import Finding
from steepest.health.foreign import swallow
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Replay, Setup, lr_times, momentum_of, replay
from steepest.health.watch.good_states import GoodState, GoodStates
from steepest.health.watch.optimizer_trace import OptimizerTrace
from steepest.health.watch.rules.relapse import (
    KEPT,
    LOST,
    LOWER,
    ROSE,
    WAIT,
    WAIT_SHARE,
    Tried,
    learning_lost,
    momentum_rose,
    rate_rose,
    rate_too_high,
)
from steepest.health.watch.trace import TrainingTrace

_LONGEST_WAIT = 2000  # steps
_STEPS = (50, 150)  # of a what-if; the longer one where the shorter shows no harm
_MEASURED = 8  # minibatches

Change = Callable[[Setup], Setup | None]


def is_due(states: GoodStates, trace: TrainingTrace) -> bool:
    """Whether it is time to ask: the numbers broke, the loss stays high, or the training is over.

    The steps of a loop that passes several batches at once cannot be taken again here.
    """
    if trace.shared > 0.1 * trace.backwards or not trace.batches:
        return False
    if trace.first_nonfinite is not None:
        return bool(states)
    since = states.lost_since
    if since is None:
        return False
    wait = max(WAIT, min(WAIT_SHARE * since, _LONGEST_WAIT))
    return trace.ended or trace.steps >= since + wait


@dataclass
class Relapse:
    """The what-ifs of one training. Each starts from a good state and goes through the first rows.

    now: the objects as they are.
    """

    now: Setup
    states: GoodStates
    trace: TrainingTrace
    clock: Clock
    _kept_again: bool = field(default=False, init=False)  # by steps from the last good state

    def findings(self) -> Iterator[Finding]:
        """The cause that an experiment shows; else the loss itself, if the first rows tell it."""
        found = self._cause()
        if found is None and self.trace.first_nonfinite is None:
            found = self._lost()
        if found is not None:
            yield found

    def _cause(self) -> Finding | None:
        harmed: tuple[GoodState, Setup] | None = None
        for state in self.states:
            begun = state.start(self.now)
            if begun is None:
                return None
            for steps in _STEPS:
                plain = self._steps(begun, steps)
                if plain is None:
                    return None
                if not self._stays(state, plain):
                    break
                if found := self._risen(state, begun, plain):
                    return found
            else:
                self._kept_again = True
                return None
            harmed = state, begun
        return self._too_high(*harmed) if harmed else None

    def _risen(self, state: GoodState, begun: Setup, plain: Replay) -> Finding | None:
        """Whether the rate or the momentum that came later does harm from this state on."""
        trace, steps = self.trace, len(plain.losses)
        highest = max(self._highest, state.rate)
        if state.rate > 0 and highest >= ROSE * state.rate:
            other = self._steps(begun, steps, lr_times(highest / state.rate))
            if other is not None and self._harms(state, other):
                tried = Tried(steps, highest, other.final, plain.final)
                return rate_rose(trace.steps, state.told, tried)
        momentum = max(map(_momentum, trace.optimizers), default=0.0)
        if 1 - momentum < (1 - state.momentum) / ROSE:
            other = self._steps(begun, steps, momentum_of(momentum))
            if other is not None and self._harms(state, other):
                tried = Tried(steps, momentum, other.final, plain.final)
                return momentum_rose(trace.steps, state.told, tried)
        return None

    def _too_high(self, state: GoodState, begun: Setup) -> Finding | None:
        """Whether the state's own rate is to blame: a tenth of it keeps what was learned."""
        for steps in _STEPS:
            plain, other = self._steps(begun, steps), self._steps(begun, steps, lr_times(LOWER))
            if plain is None or other is None or not self._stays(state, other):
                return None
            if self._harms(state, plain):
                tried = Tried(steps, state.rate, plain.final, other.final)
                return rate_too_high(self.trace.steps, state.told, tried, LOWER * state.rate)
        return None

    def _lost(self) -> Finding | None:
        known = next(reversed(list(self.states)), None)
        best, trace = self.states.best, self.trace
        loss = self._measured(self.now.copy())
        limit = best + LOST * (trace.untrained_loss - best)
        if (math.isfinite(loss) and loss <= limit) or math.isnan(loss):
            return None
        hits = list(trace.train_hits)[-5:]
        accuracy = sum(hits) / len(hits) if hits else math.nan
        ruled_out = ["rows that are harder now: those of the first minibatches are lost too"]
        if self._kept_again:
            ruled_out.append(
                "the optimizer's steps on the first rows: taken again from there they do no harm"
            )
        return learning_lost(
            trace.steps,
            known.step if known else None,
            best,
            (loss, "the first minibatches"),
            fix="look at what the loop does otherwise since then: inputs, labels, loss, parts of "
            "the model",
            ruled_out=tuple(ruled_out),
            accuracy=(accuracy, known.accuracy if known else math.nan),
        )

    def _measured(self, clone: Setup | None) -> float:
        """Mean loss of the first minibatches at the weights of a copy; NaN if it is not known."""
        if clone is None:
            return math.nan
        clone.model.train()
        seed_generators(0)
        try:
            with torch.no_grad():
                losses = [float(clone.loss(batch)) for batch in self._batches[:_MEASURED]]
        except Exception as error:
            swallow(error)
            return math.nan
        return sum(losses) / len(losses)

    @cached_property
    def _highest(self) -> float:
        """The highest rate since the first of the states."""
        since = (optimizer.peak for optimizer in self.trace.optimizers)
        return max([*since, *(state.rate for state in self.states)])

    @cached_property
    def _batches(self) -> Sequence[Batch]:
        return self.trace.equal_batches

    def _steps(self, begun: Setup, steps: int, change: Change | None = None) -> Replay | None:
        taken = replay(begun, self._batches, steps, change=change, clock=self.clock)
        return None if taken is None or taken.cut else taken

    def _harms(self, state: GoodState, taken: Replay) -> bool:
        return not taken.final <= state.told.having_lost(LOST, self.trace.untrained_loss)

    def _stays(self, state: GoodState, taken: Replay) -> bool:
        return taken.final <= state.told.having_lost(KEPT, self.trace.untrained_loss)


def _momentum(optimizer: OptimizerTrace) -> float:
    groups = optimizer.optimizer.param_groups
    return max((float(g.get("momentum", 0.0) or 0.0) for g in groups), default=0.0)
