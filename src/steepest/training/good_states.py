"""The last good states of a run, and the rates that its steps had since."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from steepest.engine import NO_STEPS, OptimizerState, Plan
from steepest.health.watch.rules.relapse import (
    AS_GOOD,
    KEPT,
    LATER,
    LEARNED,
    LOST,
    ROSE,
    WAIT,
    WAIT_SHARE,
    Good,
)
from steepest.run import IntervalFinished
from steepest.training.divergence import State

_FEWEST = 5  # steps whose mean loss says how good it is


@dataclass(frozen=True)
class GoodState:
    """The weights after a step at which all was well, and what the optimizer kept.

    steps: those before it, whose mean its loss is. after: those after it, and their mean loss.
    """

    state: State
    good: Good
    steps: int
    after: tuple[int, float] = (0, math.nan)


class GoodStates:
    """Follows the loss of a run from interval to interval; keeps its state while that is low.

    Two at most are kept: the latest, and one from before the rate rose to what it is there; the
    next one after an eighth more steps, as in the watch of a loop. A state is one of them once the
    steps after it have gone well too: the mean of those before tells nothing of what the last of
    them did to the weights.

    export: makes the model current and gives what the optimizer keeps; None for a run that cannot
    be asked, of which nothing is kept. kept: whether the model is small enough.

    Attributes:
        untrained: The loss of a net that has learned nothing.
        best: The least mean loss, at step `best_step`, of the `best_steps` before it.
        loss: The latest mean.
        lost_since: The step from which on half of what was learned has been lost, if it has.
        lost_steps: Those over which that was measured first.
    """

    def __init__(
        self,
        plan: Plan,
        rate: Callable[[int], float],
        export: Callable[[], OptimizerState] | None,
        *,
        kept: bool,
    ) -> None:
        self.untrained = math.nan
        self.best, self.best_step, self.best_steps = math.inf, 0, 0
        self.loss = math.nan
        self.lost_since: int | None = None
        self.lost_steps = 0
        self.states: list[GoodState] = []
        self._plan, self._rate, self._export = plan, rate, export
        self._next: GoodState | None = None  # whose next steps are not known yet
        self._kept = kept and export is not None
        self._sum = NO_STEPS  # since the last mean
        self._step = 0
        self._intervals: list[tuple[int, int, float]] = []  # first step, end, rate of the last

    def begin(self, step: int, untrained: float) -> None:
        self._step, self.untrained = step, untrained

    def interval(self, event: IntervalFinished) -> bool:
        """Take in an interval; whether it is time to ask why what was learned is lost."""
        self._intervals.append((self._step, event.step, event.lr))
        self._step = event.step
        self._sum = self._sum + event.stats
        finite = math.isfinite(event.stats.loss)
        if self._sum.steps >= _FEWEST or not finite:
            loss, steps = self._sum.loss, self._sum.steps
            self._sum = NO_STEPS
            self._measured(event, loss, steps)
        since = self.lost_since
        if since is None:
            return False
        return not finite or event.step >= since + max(WAIT, WAIT_SHARE * since)

    def _measured(self, event: IntervalFinished, loss: float, steps: int) -> None:
        learned = self.untrained - self.best
        self.loss = loss
        if self._next is not None:
            if loss <= self._next.good.having_lost(KEPT, self.untrained):
                self._keep(replace(self._next, after=(steps, loss)))
            self._next = None
        if learned > LEARNED * self.untrained and not loss <= self.best + LOST * learned:
            if self.lost_since is None:
                self.lost_since, self.lost_steps = event.step, steps
            return
        self.lost_since = None
        good = loss <= AS_GOOD * self.best
        if loss < self.best:
            self.best, self.best_step, self.best_steps = loss, event.step, steps
        last = self.states[-1].state.step if self.states else 0
        if good and loss < self.untrained and event.step >= LATER * last and self._kept:
            self._next = self._state(event, loss, steps)

    def _state(self, event: IntervalFinished, loss: float, steps: int) -> GoodState | None:
        """The one of now; None if half a gradient is gathered, or a weight is not finite."""
        gathered = event.batch % self._plan.recipe.accumulate
        if self._export is None or (gathered and event.batch < self._plan.steps_per_epoch):
            return None
        state = State.of(self._plan, event.step, self._export(), frozenset())
        good = Good(event.step, loss, event.lr)
        return GoodState(state, good, steps) if state.is_finite else None

    def _keep(self, new: GoodState) -> None:
        before = [one for one in self.states if new.good.rate > ROSE * one.good.rate]
        self.states = [*before[-1:], new]

    def current(self, step: int, *, running: bool) -> State:
        """The weights of now, to be measured on the minibatches after `step`.

        running: the model is the engine's; else it is current.
        """
        if running and self._export is not None:
            self._export()
        return State.of(self._plan, step, {}, frozenset())

    def rates(self, begin: int, end: int) -> list[float]:
        """Those of the steps from `begin` up to `end`.

        A schedule that only knows its rate of now is asked of none of them: within an interval,
        which is in one epoch, it had one rate.
        """
        rates: list[float] = []
        for first, stop, last in self._intervals:
            steps = range(max(first, begin), min(stop, end))
            if steps:
                known = self._rate(stop - 1) == last
                rates += [self._rate(step) if known else last for step in steps]
        return rates
