"""A run that had learned and lost it: its steps from the last good state on, once more."""

import math
from collections.abc import Callable, Sequence

from steepest.engine import OptimizerState, Plan
from steepest.health import Finding
from steepest.health.watch.rules.relapse import (
    KEPT,
    LOST,
    LOWER,
    ROSE,
    Tried,
    forward_changed,
    learning_lost,
    rate_rose,
    rate_too_high,
)
from steepest.run import IntervalFinished
from steepest.training.good_states import GoodState, GoodStates
from steepest.training.rate_trials import RateTrials

_STEPS = 50  # of a what-if, where all steps up to the harm would be dear


class Relapse:
    """Sees whether what a run has learned is lost again, and why.

    The what-ifs take the run's own next minibatches by its engine, from weights and optimizer of a
    good state: up to the harm if that is affordable.

    rate: of a step. export: as of GoodStates.
    """

    def __init__(
        self,
        plan: Plan,
        trials: RateTrials,
        rate: Callable[[int], float],
        export: Callable[[], OptimizerState] | None,
    ) -> None:
        self._states = GoodStates(plan, rate, export, kept=trials.fits)
        self._trials, self._asks = trials, export is not None
        self._ruled_out: list[str] = []

    def begin(self, step: int, untrained: float) -> None:
        """Before the first step of a run that has taken `step` of them.

        untrained: the loss of a net that has learned nothing.
        """
        self._states.begin(step, untrained)

    def interval(self, event: IntervalFinished) -> bool:
        """Take in an interval; whether it is time to ask why what was learned is lost."""
        return self._states.interval(event)

    @property
    def lost(self) -> bool:
        return self._states.lost_since is not None

    def from_the_start(self, factor: float, a_step: float) -> tuple[int, float, float] | None:
        """Whether all steps up to the harm, taken again at `factor` times their rates, learn.

        If so: the steps, the loss that they came to as they were, and the one at those rates.
        """
        states, initial = self._states, self._trials.initial
        if initial is None or not self.lost or states.lost_since is None:
            return None
        rates = states.rates(0, states.lost_since)
        if 2 * len(rates) * a_step > self._left:
            return None
        last, learned = states.lost_steps, states.untrained - states.best
        lower = self._trials.loss_from(initial, [factor * rate for rate in rates], last)
        if not lower <= states.best + KEPT * learned:
            return None
        plain = self._trials.loss_from(initial, rates, last)
        return (len(rates), plain, lower) if plain > states.best + LOST * learned else None

    def finding(self, step: int, a_step: float, *, running: bool) -> Finding | None:
        """The cause, if the what-ifs show one; else that it is lost, if the weights of now show it.

        a_step: seconds that a step takes. running: whether the run still takes steps.
        """
        if not self.lost or not self._asks:
            return None
        found = self._cause(step, a_step)
        if found is None and math.isfinite(self._states.loss):
            found = self._lost(step, running)
        return found

    def _cause(self, step: int, a_step: float) -> Finding | None:
        harmed = None
        for one in self._states.states:
            rates, count = self._rates_since(one, a_step)
            own = self._final(one, [one.good.rate] * count)
            if math.isnan(own):
                return None
            if not own <= self._limit(one, KEPT):
                harmed = one, count, own
                continue
            if max(rates, default=0.0) >= ROSE * one.good.rate:
                if found := self._risen(step, one, rates, count, own):
                    return found
            elif count == len(rates):
                self._ruled_out = ["the optimizer's steps: taken again up to there they keep it"]
        return self._of_state(step, *harmed) if harmed else None

    def _risen(
        self, step: int, one: GoodState, rates: list[float], count: int, own: float
    ) -> Finding | None:
        """Whether the rates that came later do harm from this state on."""
        highest, all_of_them = max(rates), count == len(rates)
        risen = self._final(one, rates if all_of_them else [highest] * count)
        if not risen > self._limit(one, LOST):
            return None
        tried = Tried(count, highest, risen, own, as_it_was=all_of_them)
        return rate_rose(step, one.good, tried)

    def _of_state(self, step: int, one: GoodState, count: int, own: float) -> Finding | None:
        """Why steps at the state's own rate lose it: the model, or that rate."""
        again = self._as_they_were(one)
        if again > self._limit(one, LOST):
            return forward_changed(step, one.good, one.after, again)
        lower = LOWER * one.good.rate
        kept = self._final(one, [lower] * count)
        if own > self._limit(one, LOST) and kept <= self._limit(one, KEPT):
            return rate_too_high(step, one.good, Tried(count, one.good.rate, own, kept), lower)
        if kept > self._limit(one, LOST):
            self._ruled_out.append(f"the learning rate: the same steps lose it at {lower:g} too")
        return None

    def _lost(self, step: int, running: bool) -> Finding | None:
        states = self._states
        one = states.states[-1] if states.states else None
        at, steps = (one.good.step, one.steps) if one else (states.best_step, states.best_steps)
        best = one.good.loss if one else states.best
        now = states.current(at - steps, running=running)
        loss = self._trials.loss_from(now, [0.0] * steps, steps)
        if not loss > best + LOST * (states.untrained - best):
            return None
        return learning_lost(
            step,
            at,
            best,
            (loss, f"the {steps} minibatches before that"),
            fix="early_stopping=True keeps the weights of the best epoch; then look at what is "
            f"otherwise after step {at}",
            ruled_out=("rows that are harder now: those of before are lost too", *self._ruled_out),
        )

    def _rates_since(self, one: GoodState, a_step: float) -> tuple[list[float], int]:
        """The rates from a state on to the harm, or to now, and the steps that a what-if takes."""
        begin, lost = one.state.step, self._states.lost_since
        assert lost is not None
        rates = self._states.rates(begin, lost)
        # Two for the rise; the others are as dear, and none is begun when the time is over.
        if 2 * len(rates) * a_step <= self._left / 2:
            return rates, len(rates)
        return rates, min(_STEPS, len(rates) - 1)

    @property
    def _left(self) -> float:
        """Seconds of the processor."""
        return self._trials.affordable - self._trials.spent

    def _as_they_were(self, one: GoodState) -> float:
        """Loss of the steps after a state, taken again with nothing changed."""
        steps, _ = one.after
        rates = self._states.rates(one.state.step, one.state.step + steps)
        return self._trials.loss_from(one.state, rates, steps)

    def _final(self, one: GoodState, rates: Sequence[float]) -> float:
        last = min(max(1, len(rates) // 3), self._states.lost_steps)
        return self._trials.loss_from(one.state, rates, last)

    def _limit(self, one: GoodState, share: float) -> float:
        return one.good.having_lost(share, self._states.untrained)
