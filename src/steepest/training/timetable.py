"""Timetable: where intervals of the record, epochs and updates end, as functions of step numbers.

Nothing here is measured or remembered, so a run that is resumed has the marks of one that was not.
"""

from dataclasses import dataclass, replace
from typing import Self

from steepest.engine import Plan

_INTERVALS_AN_EPOCH = 20
_LEAST_STEPS_BETWEEN_LOGS = 25


@dataclass(frozen=True)
class Timetable:
    """The marks of a run. A mark at k lies after k steps.

    Attributes:
        total: Steps of the whole run.
        steps_per_epoch: Minibatches in an epoch.
        log_every: Steps between two rows of the record; an epoch's end is a row, too.
        accumulate: Minibatches whose gradients make one update, counted from an epoch's begin.
    """

    total: int
    steps_per_epoch: int
    log_every: int
    accumulate: int

    @classmethod
    def of(cls, plan: Plan) -> Self:
        by_epoch = plan.steps_per_epoch // _INTERVALS_AN_EPOCH
        log_every = plan.recipe.log_every or max(by_epoch, _LEAST_STEPS_BETWEEN_LOGS)
        return cls(plan.total_steps, plan.steps_per_epoch, log_every, plan.recipe.accumulate)

    def with_long_intervals(self, steps: int) -> Self:
        """The same with so many steps or more between two rows of the record."""
        return replace(self, log_every=max(self.log_every, steps))

    def epoch_end(self, begin: int) -> int:
        """Where the epoch ends that began at `begin`: whole, or cut short by the run's end."""
        return min(self.total, begin + self.steps_per_epoch)

    def interval_end(self, begin: int, epoch_begin: int) -> int:
        """Where the interval of the record ends that began at `begin`."""
        return min(self.epoch_end(epoch_begin), (begin // self.log_every + 1) * self.log_every)

    @property
    def cut(self) -> int | None:
        """Where a run that `steps` ends within an epoch is saved, so that it can be given more.

        That is before the epoch is closed, and before an update that would gather more minibatches
        in a longer run. None if the last epoch is whole.
        """
        beyond = self.total % self.steps_per_epoch
        return self.total - beyond % self.accumulate if beyond else None

    def is_gathering(self, epoch_steps: int) -> bool:
        """Whether minibatches were taken whose update is still to come.

        Args:
            epoch_steps: Steps of the epoch that are done.
        """
        return epoch_steps % self.accumulate > 0 and epoch_steps < self.steps_per_epoch

    def steps_at_once(
        self, step: int, epoch_steps: int, end: int, wanted: int, checkpoint: int | None
    ) -> int:
        """How many steps the engine is asked for: about `wanted`, never across a mark.

        Args:
            step: Steps that are done.
            epoch_steps: Those of them that are of this epoch.
            end: The end of the interval, which is after `step`.
            wanted: What the time allows.
            checkpoint: The next step at which a checkpoint is due, if any.
        """
        count = wanted if checkpoint is None else min(wanted, checkpoint - step)
        count += -(epoch_steps + count) % self.accumulate  # up to the next update: none is halved
        if self.cut is not None and step < self.cut:
            count = min(count, self.cut - step)
        return min(count, end - step)
