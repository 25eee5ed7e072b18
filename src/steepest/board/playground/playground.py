"""A playground: trainings on points of a plane, moved to any step and looked at there."""

import threading
from collections.abc import Mapping
from typing import Any

import polars as pl
import torch

from steepest.board.playground.lane import Lane, samples_after, step_of
from steepest.board.playground.settings import Chosen, choose_settings
from steepest.board.playground.view import View
from steepest.recipe import Recipe
from steepest.training.preparation import Preparation, net_for, prepare, prepare_alike

# States that are kept, of all lanes together, to go back to.
_STATES = 3000


class Playground:
    """Trainings of one or several lanes on the same points, at one place in time.

    The place is the number of samples whose gradient was asked for, alike in all lanes: lanes of
    other batch sizes have taken as many steps as that allows. All lanes train on the same rows,
    those that the first lane's seed chose. All methods may be called from any thread; one at a time
    is served.

    Args:
        wanted: As for `choose_settings`.

    Raises:
        SteepestError: Of points or settings that cannot be.
    """

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self.chosen: Chosen = choose_settings(wanted)
        self.lock = threading.RLock()
        self.samples = 0
        views: dict[str, View] = {}
        states = _STATES // len(self.chosen.recipes)
        self.lanes: tuple[Lane, ...] = ()
        with torch.inference_mode(False), torch.enable_grad():
            for name, recipe in zip(self.chosen.names, self.chosen.recipes, strict=True):
                view = views.get(recipe.scaling)
                if view is None:
                    prepared = prepare(None, self.frame, recipe.with_seed(self._seed))
                    view = views[recipe.scaling] = View(prepared, self.chosen.points)
                self.lanes += (Lane(name, _alike(view.prepared, recipe), view, states),)

    @property
    def _seed(self) -> int:
        return self.chosen.recipes[0].seed

    @property
    def frame(self) -> pl.DataFrame:
        """The points as a table with a column `class`: what `train` reads from the CSV."""
        points = self.chosen.points
        columns = {name: points.x[:, i] for i, name in enumerate(points.columns)}
        return pl.DataFrame(columns | {"class": points.labels})

    @property
    def total(self) -> int:
        """Samples of the whole run of the first lane."""
        return self._samples_of(self.lanes[0].total)

    def move(self, *, steps: int = 0, epochs: int = 0) -> None:
        """Go so many steps and epochs of the first lane forward, or back if they are below 0."""
        with self.lock:
            plan = self.lanes[0].plan
            self.go_to(self.lanes[0].step + steps + epochs * plan.steps_per_epoch)

    def go_to(self, step: int) -> None:
        """Go to where so many steps of the first lane are done, from the past or the future."""
        with self.lock, torch.inference_mode(False), torch.enable_grad():
            self.samples = self._samples_of(min(max(step, 0), self.lanes[0].total))
            for lane in self.lanes:
                lane.move_to(step_of(self.samples, lane.plan.rows, lane.plan.batch_size))

    def _samples_of(self, steps: int) -> int:
        plan = self.lanes[0].plan
        return samples_after(steps, plan.rows, plan.batch_size)


def _alike(rows: Preparation, recipe: Recipe) -> Preparation:
    """The preparation of a lane on these rows, with the first weights of its own recipe."""
    outputs = 1 if rows.plan.objective.kind == "binary" else len(rows.classifier.classes)
    return prepare_alike(rows, net_for(recipe, rows.classifier.preprocessing, outputs), recipe)
