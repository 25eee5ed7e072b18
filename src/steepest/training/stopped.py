"""Stopped: that a run ends, how, and the sentences that say why."""

from dataclasses import dataclass
from typing import Literal

from steepest.recipe import Recipe
from steepest.training.deciding import NO_BETTER


@dataclass(frozen=True)
class Stopped:
    """That a run ends, and how."""

    status: Literal["finished", "interrupted", "diverged", "pruned"]
    reason: str

    @property
    def is_early(self) -> bool:
        """Whether it ended before its time, and neither by itself nor by early stopping."""
        return self.status != "finished"

    def told(self, recipe: Recipe, best_epoch: int) -> str:
        """The reason, and which weights the run ends with if these are not the last.

        Args:
            recipe: Of the run.
            best_epoch: Whose weights early stopping keeps; -1 for none.
        """
        if self.status == "diverged" or not recipe.early_stopping or best_epoch < 0:
            return self.reason
        by = "" if recipe.best_by == "loss" else f" by {recipe.best_by.replace('_', ' ')}"
        best = f"the weights are those of epoch {best_epoch}, the best on the validation part{by}"
        return f"{self.reason}; {best}"


def patience_over(recipe: Recipe, best: int, epoch: int) -> Stopped | None:
    """The end by early stopping, if the last epoch is that long after the best."""
    if epoch - best < recipe.patience:
        return None
    reason = f"{NO_BETTER[recipe.best_by]} for {recipe.patience} epochs"
    return Stopped("finished", reason)


def diverged_within(begin: int, end: int, loss_sum: float) -> Stopped:
    """The end of a run whose loss is not finite, where the step is not looked for."""
    return Stopped("diverged", f"the loss became {loss_sum} within steps {begin + 1} to {end}")
