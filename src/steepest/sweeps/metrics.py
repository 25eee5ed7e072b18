"""What the runs of a sweep are compared by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from steepest.errors import RecipeError, did_you_mean
from steepest.run import EpochFinished
from steepest.sweeps.record import RunRow

METRICS = (
    *("val_loss", "val_acc", "test_loss", "test_acc", "train_loss", "train_acc"),
    "best_val_loss",
)


@dataclass(frozen=True)
class Metric:
    """A column of the results.

    Attributes:
        name: Of the column.
    """

    name: str

    @classmethod
    def of(cls, name: str) -> "Metric":
        """The metric of this name. Raises RecipeError if there is none."""
        if name not in METRICS:
            hint = did_you_mean(str(name), METRICS) or f": choose one of {', '.join(METRICS)}"
            raise RecipeError(f"unknown metric {name!r:.40}{hint}")
        return cls(name)

    @property
    def falls(self) -> bool:
        """Whether lower is better."""
        return self.name.endswith("loss")

    def cost(self, value: float | None) -> float:
        """A value as a number of which the lowest is the best; infinity for none and for NaN."""
        if value is None or math.isnan(value):
            return math.inf
        return value if self.falls else -value

    def of_row(self, row: RunRow) -> float:
        """The cost of a run; infinity unless it reached its end."""
        if row.status != "finished":
            return math.inf
        found: float | None = getattr(row, self.name)
        return self.cost(found)

    def after(self, history: Sequence[EpochFinished], epochs: int) -> float:
        """The cost after so many epochs, or after the last where a run ended before."""
        if not history:
            return math.inf
        upto = history[:epochs]
        if self.name == "best_val_loss":
            return min(self.cost(epoch.val_loss) for epoch in upto)
        return self.cost(getattr(upto[-1], self.name))
