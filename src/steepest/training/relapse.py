"""A run that had learned and lost it: steps from the last good epoch on, at other rates."""

import math
from dataclasses import dataclass

from steepest.engine import Plan
from steepest.health import Finding
from steepest.health.watch.rules.relapse import (
    AS_GOOD,
    KEPT,
    LATER,
    LEARNED,
    LOST,
    LOWER,
    ROSE,
    WAIT,
    WAIT_SHARE,
    Good,
    Tried,
    rate_rose,
    rate_too_high,
)
from steepest.run import EpochFinished, IntervalFinished
from steepest.training.divergence import State
from steepest.training.rate_trials import RateTrials

_STEPS = 50


@dataclass(frozen=True)
class GoodEpoch:
    """The weights after an epoch at which all was well, its mean loss, and the rate of its end."""

    state: State
    good: Good


class Relapse:
    """Sees whether what a run has learned is lost again, and why.

    The what-ifs take the run's own next minibatches by its engine. Their optimizer starts anew, in
    all of them alike.

    untrained: the loss of a net that has learned nothing.
    """

    def __init__(self, plan: Plan, trials: RateTrials) -> None:
        self.untrained = math.nan
        self._plan, self._trials = plan, trials
        self._epochs: list[GoodEpoch] = []  # one from before a rise of the rate, and the latest
        self._best = math.inf
        self._lost_since: int | None = None
        self._lr = self._highest = 0.0  # of the latest interval; since the first of the epochs

    def interval(self, event: IntervalFinished) -> bool:
        """Take in an interval; whether it is time to ask why what was learned is lost."""
        loss, step = event.stats.loss, event.step
        self._lr = event.lr
        self._highest = max(self._highest, event.lr)
        learned = self.untrained - self._best
        if not learned > LEARNED * self.untrained or loss <= self._best + LOST * learned:
            self._lost_since = None
            return False
        since = self._lost_since = self._lost_since or step
        return not math.isfinite(loss) or step >= since + max(WAIT, WAIT_SHARE * since)

    @property
    def lost(self) -> bool:
        return self._lost_since is not None

    def epoch(self, event: EpochFinished) -> None:
        """Keep the weights of a good epoch; the model is current while it is told."""
        good = event.train_loss <= AS_GOOD * self._best
        self._best = min(self._best, event.train_loss)
        last = self._epochs[-1].state.step if self._epochs else 0
        if not good or not event.train_loss < self.untrained or event.step < LATER * last:
            return
        if not self._trials.possible:
            return
        state = State.of(self._plan, event.step, {}, frozenset())
        if state.is_finite:
            new = GoodEpoch(state, Good(event.step, event.train_loss, event.lr))
            before = [one for one in self._epochs if new.good.rate > ROSE * one.good.rate]
            self._epochs = [*before[-1:], new]
            self._highest = max(one.good.rate for one in self._epochs)

    def finding(self, step: int) -> Finding | None:
        """The cause, if the what-ifs show one."""
        harmed = None
        for one in self._epochs:
            own = self._final(one, one.good.rate)
            if math.isnan(own):
                return None
            if not own <= self._limit(one, KEPT):
                harmed = one, own
                continue
            if self._highest >= ROSE * one.good.rate:
                risen = self._final(one, self._highest)
                if risen > self._limit(one, LOST):
                    return rate_rose(step, one.good, self._tried(self._highest, risen, own))
        if harmed is None:
            return None
        one, own = harmed
        lower = self._final(one, LOWER * one.good.rate)
        if not (own > self._limit(one, LOST) and lower <= self._limit(one, KEPT)):
            return None
        tried = self._tried(one.good.rate, own, lower)
        return rate_too_high(step, one.good, tried, LOWER * one.good.rate)

    def _final(self, one: GoodEpoch, rate: float) -> float:
        return self._trials.loss_from(one.state, [rate] * _STEPS)

    def _limit(self, one: GoodEpoch, share: float) -> float:
        return one.good.having_lost(share, self.untrained)

    @staticmethod
    def _tried(setting: float, harmed: float, kept: float) -> Tried:
        return Tried(_STEPS, setting, harmed, kept)
