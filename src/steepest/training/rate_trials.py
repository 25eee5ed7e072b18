"""The first steps of a run again, at other learning rates, from the same weights."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from steepest.engine import OptimizerState, Plan
from steepest.training.divergence import State
from steepest.training.preparation import Preparation
from steepest.training.weights import load_tensors

_LARGEST = 64 * 2**20  # bytes of parameters that are kept twice


class RateTrials:
    """Takes a run's first steps again on a copy of its model, by an engine of its own.

    The run's own numbers stay as they are. A trial is made once and remembered; none is begun when
    more time is spent than is affordable.

    rate: the learning rate of a step. affordable, spent: seconds of the processor.
    """

    def __init__(
        self, prepared: Preparation, rate: Callable[[int], float], affordable: float
    ) -> None:
        self.affordable, self.spent = affordable, 0.0
        self._prepared, self._plan, self._rate = prepared, prepared.plan, rate
        self._initial: State | None = None
        self._losses: dict[tuple[int, float], float] = {}

    def remember_start(self) -> None:
        """Keep the weights as they are now, before the first step, unless they are large."""
        if self.fits:
            self._initial = State.of(self._plan, 0, {}, frozenset())

    def loss_from(self, state: State, rates: Sequence[float], last: int) -> float:
        """Mean loss of the last of the steps from a state on, at these rates.

        Infinite where a step was not finite, NaN where there was no trial.
        """
        if self.spent > self.affordable:
            return math.nan
        clone = replace(self._plan, model=copy.deepcopy(self._plan.model))
        load_tensors(clone.model, state.model)
        return self._steps(clone, state.step, rates, last, state.optimizer)

    @property
    def fits(self) -> bool:
        """Whether the model is small enough to be kept."""
        return sum(p.nbytes for p in self._plan.model.parameters()) <= _LARGEST

    @property
    def initial(self) -> State | None:
        """The first weights, if they are known."""
        return self._initial

    @property
    def possible(self) -> bool:
        """Whether the first weights are known."""
        return self._initial is not None

    @property
    def lowest_tried(self) -> float | None:
        """The least factor below 1 that was tried."""
        tried = (k for (_, k), loss in self._losses.items() if k < 1 and not math.isnan(loss))
        return min(tried, default=None)

    def plan_at_start(self) -> Plan | None:
        """The plan with a copy of the model as it was before the first step, if that is known."""
        if self._initial is None:
            return None
        clone = replace(self._plan, model=copy.deepcopy(self._plan.model))
        load_tensors(clone.model, self._initial.model)
        return clone

    def loss(self, steps: int, factor: float) -> float:
        """Mean loss of the last third of the first steps, at `factor` times their rates.

        Infinite where a step was not finite, NaN where there was no trial.
        """
        if (steps, factor) in self._losses:
            return self._losses[steps, factor]
        clone = self.plan_at_start() if self.spent <= self.affordable else None
        if clone is None:
            return math.nan
        rates = [factor * self._rate(i) for i in range(steps)]
        self._losses[steps, factor] = self._steps(clone, 0, rates, max(1, steps // 3))
        return self._losses[steps, factor]

    def _steps(
        self,
        plan: Plan,
        step: int,
        rates: Sequence[float],
        last: int,
        optimizer: OptimizerState | None = None,
    ) -> float:
        """Mean loss of the last of these steps, by a new engine."""
        since = time.thread_time()
        engine = type(self._prepared.choice.engine)()
        engine.load(plan, optimizer or {}, step)
        first = len(rates) - last
        ahead = engine.advance(rates[:first]).loss if first else 0.0
        loss = engine.advance(rates[first:]).loss
        self.spent += time.thread_time() - since
        return loss if math.isfinite(loss) and math.isfinite(ahead) else math.inf
