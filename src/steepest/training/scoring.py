"""Scores of a run: before its first step, after each epoch and at its end."""

import math
from collections.abc import Mapping

from steepest.classifier import Score
from steepest.data import PreparedPart
from steepest.engine import seeded
from steepest.training.deciding import metric_of
from steepest.training.preparation import Preparation

# What is measured on the training rows before the first step and after the last: at most so many
# rows, for the loss at the start; a share of the rows that the steps take, whose forward passes are
# then under 1 % of the run; and whatever costs less than these FLOPs (some 20 ms).
_INITIAL_ROWS = 4096
_SHARE_SCORED = 1 / 40
_FREE_FLOPS = 1e9


class Scoring:
    """Measures the model as it is, in evaluation mode; the engine must have been exported."""

    def __init__(self, prepared: Preparation) -> None:
        self._prepared = prepared
        self._plan = prepared.plan

    def initial_loss(self, step: int) -> float:
        """The loss on some training rows, in nats."""
        rows = min(_INITIAL_ROWS, self._rows_scored())
        return self._score(self._prepared.some_training_rows(rows), step).loss

    def validation(self, step: int) -> Score | None:
        """Of the validation part, if there is one."""
        part = self._prepared.parts.get("validation")
        return self._score(part, step) if part else None

    def metric(self, step: int, latest: Score | None) -> float | None:
        """What decides which epoch is the best. latest: the score of the validation part."""
        if latest is None:
            return None
        part, recipe = self._prepared.parts["validation"], self._plan.recipe
        with seeded(self._plan.model, recipe.seed, step):
            return metric_of(recipe.best_by, self._prepared.classifier, part, latest)

    def final(self, step: int, latest: Score | None = None) -> Mapping[str, Score]:
        """By part; of the training part as many rows as are little beside the run.

        latest: of the validation part, where it was measured at these very weights.
        """
        train = self._prepared.some_training_rows(self._rows_scored())
        return self._of_parts({**self._prepared.parts, "train": train}, step, latest)

    def _of_parts(
        self, parts: Mapping[str, PreparedPart], step: int, latest: Score | None
    ) -> dict[str, Score]:
        known = {} if latest is None else {"validation": latest}
        return {name: known.get(name) or self._score(part, step) for name, part in parts.items()}

    def _rows_scored(self) -> int:
        """How many training rows are scored: all of them, where that is little beside the run."""
        taken = self._plan.total_steps * self._plan.batch_size
        return max(1, int(max(_SHARE_SCORED * taken, _FREE_FLOPS / self._prepared.row_flops)))

    def _score(self, part: PreparedPart, step: int) -> Score:
        """Loss and accuracy of a part; a function of seed and step also where the model draws."""
        with seeded(self._plan.model, self._plan.recipe.seed, step):
            return self._prepared.classifier.measure(*part)


class ScoringHeldOut(Scoring):
    """Measures what one of many runs is compared by, and no training rows."""

    def initial_loss(self, step: int) -> float:
        """NaN: not measured."""
        return math.nan

    def final(self, step: int, latest: Score | None = None) -> Mapping[str, Score]:
        """Of the validation and the test part, where they exist."""
        held_out = {k: part for k, part in self._prepared.parts.items() if k != "train"}
        return self._of_parts(held_out, step, latest)
