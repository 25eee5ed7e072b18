"""Scores of a run: before its first step, after each epoch and at its end."""

import math
from collections.abc import Mapping

from steepest.classifier import Score
from steepest.data import PreparedPart
from steepest.engine import seeded, statistics_from
from steepest.training.deciding import metric_of
from steepest.training.preparation import Preparation

# What is measured on the training rows before the first step and after the last: a share of the
# rows that the steps take, whose forward passes are then under 1 % of the run, or a minibatch; and
# whatever costs less than these FLOPs (some 20 ms).
_SHARE_SCORED = 1 / 40
_FREE_FLOPS = 1e9
# For the loss at the start at most so many rows, and of dear ones those of 1 s or of 4 minibatches.
_INITIAL_ROWS = 4096
_INITIAL_FLOPS, _INITIAL_BATCHES = 2e10, 4
# Of a run that is cut short within its first epoch each other part is measured on as many rows as
# take half the time of its steps, forward and back.
_HELD_OUT_ROWS = 1.5
# What a core does, roughly: a run that may take so many seconds takes no more rows than that.
_FLOPS_A_SECOND = 2e10


class Scoring:
    """Measures the model as it is, in evaluation mode; the engine must have been exported."""

    def __init__(self, prepared: Preparation) -> None:
        self._prepared = prepared
        self._plan = prepared.plan

    def initial_loss(self, step: int) -> float:
        """The loss on some training rows, in nats; of batch norm before any step, by their mean."""
        row, batch = self._prepared.row_flops, self._plan.batch_size
        most = max(_INITIAL_BATCHES * batch, int(_INITIAL_FLOPS / row))
        rows = min(_INITIAL_ROWS, most, self._rows_scored(self._rows_planned()))
        part, model = self._prepared.some_training_rows(rows), self._plan.model
        with (
            seeded(model, self._plan.recipe.seed, step),
            statistics_from(model, part.inputs),
        ):
            return self._score(part, step).loss

    def validation(self, step: int) -> Score | None:
        """Of the validation part, if there is one."""
        part = self._prepared.parts.get("validation")
        return self._score(self._affordable(part, step), step) if part else None

    def metric(self, step: int, latest: Score | None) -> float | None:
        """What decides which epoch is the best. latest: the score of the validation part."""
        if latest is None:
            return None
        part, recipe = self._prepared.parts["validation"], self._plan.recipe
        with seeded(self._plan.model, recipe.seed, step):
            return metric_of(recipe.best_by, self._prepared.classifier, part, latest)

    def final(self, step: int, latest: Score | None = None) -> Mapping[str, Score]:
        """By part; of the training part as many rows as are little beside the steps taken.

        latest: of the validation part, where it was measured at these very weights.
        """
        rows = self._rows_scored(step * self._plan.batch_size)
        train = self._prepared.some_training_rows(rows)
        parts = {k: self._affordable(part, step) for k, part in self._prepared.parts.items()}
        return self._of_parts({**parts, "train": train}, step, latest)

    def _of_parts(
        self, parts: Mapping[str, PreparedPart], step: int, latest: Score | None
    ) -> dict[str, Score]:
        known = {} if latest is None else {"validation": latest}
        return {name: known.get(name) or self._score(part, step) for name, part in parts.items()}

    def _rows_planned(self) -> float:
        """Rows that the steps of the run will take, as far as its time limit lets them."""
        planned, limit = (
            self._plan.total_steps * self._plan.batch_size,
            self._plan.recipe.time_limit,
        )
        if limit is None:
            return planned
        return min(planned, limit * _FLOPS_A_SECOND / (3 * self._prepared.row_flops))

    def _rows_scored(self, taken: float) -> int:
        """How many training rows are scored: all of them, where that is little beside the steps.

        taken: rows that the steps take.
        """
        return max(int(_SHARE_SCORED * taken), self._free_rows, self._plan.batch_size)

    @property
    def _free_rows(self) -> int:
        return max(1, int(_FREE_FLOPS / self._prepared.row_flops))

    def _affordable(self, part: PreparedPart, step: int) -> PreparedPart:
        """All rows of a part; some, evenly spread, where a run ends in its first epoch.

        What is measured after a step or two would otherwise take longer than a hundred.
        """
        if step >= min(self._plan.steps_per_epoch, self._plan.total_steps):
            return part
        taken = step * self._plan.batch_size
        return part.some(max(int(_HELD_OUT_ROWS * taken), self._free_rows))

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
