"""Whether a run ended while it was still learning, from what was recorded of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from steepest.health import Finding, Severity
from steepest.health.watch.rules.unfinished import (
    FEWEST,
    RESTING,
    Course,
    still_falling,
    unfinished,
)
from steepest.run import EpochFinished, IntervalFinished


@dataclass
class Progress:
    """What a run has come through. epochs: (step, training loss, validation loss, rate).

    intervals: (the step in the middle, training loss), for runs of one or two epochs.
    """

    rows: int
    validation_rows: int
    epochs: list[tuple[int, float, float | None, float]] = field(default_factory=list)
    intervals: list[tuple[float, float]] = field(default_factory=list)
    highest_lr: float = 0.0

    def interval(self, event: IntervalFinished) -> None:
        self.highest_lr = max(self.highest_lr, event.lr)
        if len(self.epochs) < FEWEST:
            middle = event.step - (event.stats.steps - 1) / 2
            self.intervals.append((middle, event.stats.loss))

    def epoch(self, event: EpochFinished) -> None:
        self.epochs.append((event.step, event.train_loss, event.val_loss, event.lr))

    def unfinished(self, chance: float, faster: Callable[[], str]) -> Finding | None:
        """The finding, if the loss was still falling at the end.

        chance: the loss of a net that knows nothing. faster: a higher rate that was tried and
        learns faster, in words, or "".
        """
        if not self.epochs or self._rests():
            return None
        of, course = self._course(chance)
        if course is None:
            return None
        more = f"epochs={2 * len(self.epochs)}"
        held_out = self.validation_rows > 0
        if held_out and (other := faster()):
            more = f"{other}, or {more}"
        elif not held_out:
            more += " with a validation part (validation=0.1), which tells whether that is better"
        severity: Severity = "warn" if held_out else "info"
        return unfinished(course, of=of, severity=severity, fix=more, step=self.epochs[-1][0])

    def _rests(self) -> bool:
        """Whether a schedule has come to its end."""
        highest = max(self.highest_lr, *(rate for *_, rate in self.epochs))
        return self.epochs[-1][3] <= RESTING * highest * (1 + 1e-9)

    def _course(self, chance: float) -> tuple[str, Course | None]:
        steps = [float(step) for step, *_ in self.epochs]
        if len(steps) < FEWEST:
            # Rows that are met for the first or second time: nearly the loss of new ones.
            middles, losses = [t for t, _ in self.intervals], [loss for _, loss in self.intervals]
            rows = self.rows // max(1, len(losses))
            return "training loss", still_falling(middles, losses, rows, chance)
        held_out = [loss for _, _, loss, _ in self.epochs if loss is not None]
        if len(held_out) == len(steps):
            course = still_falling(steps, held_out, self.validation_rows, chance)
            return "validation loss", course
        losses = [loss for _, loss, _, _ in self.epochs]
        return "training loss", still_falling(steps, losses, self.rows, chance)
