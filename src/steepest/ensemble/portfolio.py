"""From data and a recipe to the nets of an ensemble: who learns from what, and in which view."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from steepest.classifier import Classifier
from steepest.data import (
    Classes,
    Dataset,
    Inputs,
    JoinedPreprocessing,
    PreparedPart,
    Preprocessing,
)
from steepest.engine import EngineChoice, Plan, choose
from steepest.ensemble.folds import fold_of_rows
from steepest.errors import DataError, ModelError, RecipeError
from steepest.nn import Ensemble, net_of
from steepest.objective import Objective, class_weights
from steepest.presets import Meeting, views
from steepest.random import Purpose, torch_seed
from steepest.recipe import Recipe
from steepest.training.model_checks import require_rows_apart
from steepest.training.weights import go_on_from

# A net is measured on at most a quarter of the rows, however few nets there are.
_FEWEST_FOLDS = 4
_PLAIN: dict[str, Any] = {"preset": None, "members": None, "time_limit": None, "threads": 1}


@dataclass(frozen=True, eq=False)
class Member:
    """One net of an ensemble.

    Attributes:
        view: Which of the recipe's scalings it sees, an index.
        fold: Its own held-out rows are those of this fold.
        held_out: (H,) these rows.
        span: The columns of a prepared row that it takes.
        plan: Its training; the rows are all the others.
        choice: The engine that runs it, and why.
    """

    view: int
    fold: int
    held_out: NDArray[np.int64]
    span: tuple[int, int]
    plan: Plan
    choice: EngineChoice


@dataclass(frozen=True, eq=False)
class Portfolio:
    """All that the training of an ensemble needs.

    Attributes:
        recipe: Of the run.
        members: The nets, K of them.
        names: Of the views.
        preprocessing: Of all views side by side.
        inputs: The training rows, prepared, (N, columns of all views).
        targets: (N,) or (N, C).
        weights: (N,) of the training rows, all above 0; None for 1 each.
        parts: Validation and test, prepared, where they exist.
        summary: What was decided, in plain sentences.
        start: The nets that these go on from, one each; () where they begin anew.
    """

    recipe: Recipe
    dataset: Dataset
    members: tuple[Member, ...]
    names: tuple[str, ...]
    objective: Objective
    classes: Classes
    preprocessing: JoinedPreprocessing
    inputs: Inputs
    targets: NDArray[np.int64]
    weights: NDArray[np.float32] | None
    parts: dict[str, PreparedPart]
    summary: tuple[str, ...]
    start: tuple[torch.nn.Module, ...] = ()

    @property
    def train(self) -> PreparedPart:
        """All training rows, as all nets together take them."""
        return PreparedPart(self.inputs, self.targets, self.weights)

    def some_rows(self, most: int) -> PreparedPart:
        """At most this many training rows, evenly spread."""
        count = len(self.targets)
        rows = np.linspace(0, count - 1, min(count, most)).astype(np.int64)
        return self._part(replace(self.inputs, rows=rows), rows)

    def held_out(self, member: Member) -> PreparedPart:
        """The rows that a net does not learn from, as it takes them."""
        rows = member.held_out
        return self._part(in_view(self.inputs, member.span, rows), rows)

    def _part(self, inputs: Inputs, rows: NDArray[np.int64]) -> PreparedPart:
        weights = None if self.weights is None else self.weights[rows]
        return PreparedPart(inputs, self.targets[rows], weights)

    def classifier_of(self, member: Member) -> Classifier:
        """One net as a classifier of its own."""
        part = self.preprocessing.parts[member.view]
        return Classifier(member.plan.model, self.objective, part, self.classes)

    def deciding_weights(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """How much rows count where epochs, views and a temperature are chosen; None for 1 each.

        As in the loss that is made small: weights of classes count too, which scores leave out.
        """
        own = None if self.weights is None else self.weights[rows]
        if self.targets.ndim > 1:
            return own
        by_class = class_weights(self.recipe, self.targets, self.classes.names, self.weights)
        if by_class is None:
            return own
        found = np.asarray(by_class, dtype=np.float32)[self.targets[rows]]
        found = found if own is None else found * own
        return found if found.any() else own

    def begin_anew(self, member: Member) -> None:
        """Give a net its first weights again."""
        if self.start:
            earlier = self.start[self.members.index(member)]
            member.plan.model.load_state_dict(earlier.state_dict())
            return
        part = self.preprocessing.parts[member.view]
        fresh = _net_of(member.plan.recipe, part, outputs_of(self.objective, self.classes))
        member.plan.model.load_state_dict(fresh.state_dict())

    def going_on_from(self, start: Classifier) -> "Portfolio":
        """The same nets, each with the weights of an earlier one in its place.

        Raises:
            ModelError: There were others, or their rows were prepared in another way.
        """
        nets = tuple(start.model.members) if isinstance(start.model, Ensemble) else (start.model,)
        if len(nets) != len(self.members):
            raise ModelError(
                f"there is {_counted(nets)} to go on from, and {_counted(self.members)} to train: "
                "keep members as it was, or begin anew"
            )
        if start.preprocessing.to_json() != self.preprocessing.to_json():
            raise ModelError(
                "the nets to go on from saw their columns scaled and encoded in another way: keep "
                "the rows and the settings as they were, or begin anew"
            )
        for member, earlier in zip(self.members, nets, strict=True):
            go_on_from(member.plan.model, earlier)
        return replace(self, start=nets)

    def classifier(
        self,
        members: list[Member] | None = None,
        weights: list[float] | None = None,
        temperature: float = 1.0,
    ) -> Classifier:
        """The classifier of some of the nets, None for all of them with equal weights."""
        chosen = self.members if members is None else members
        closing = "softmax" if self.objective.kind == "multiclass" else "sigmoid"
        model = Ensemble(
            [member.plan.model for member in chosen],
            [member.span for member in chosen],
            closing,  # type: ignore[arg-type]
            weights=weights,
            temperature=temperature,
        )
        return Classifier(model.eval(), self.objective, self.preprocessing, self.classes)


def prepare_portfolio(dataset: Dataset, recipe: Recipe, notes: tuple[str, ...] = ()) -> Portfolio:
    """The nets of an ensemble on the training rows of a data set, with every check before any work.

    Args:
        dataset: Its parts, split.
        recipe: With `members`, and all that a preset decides.
        notes: Lines for the summary.

    Raises:
        SteepestError: Of whatever does not fit.
    """
    train = dataset.train
    if train.weights is not None:  # rows that do not count are not held out either
        train = train.take(np.flatnonzero(train.weights > 0))
        dataset = replace(dataset, train=train)
    if len(train) < 2:
        raise DataError(f"{train.source} has {len(train)} row; an ensemble needs 2 to hold one out")
    if isinstance(train.inputs, np.ndarray) and train.inputs.ndim != 2:
        raise RecipeError(
            f"{train.source} has rows of shape {train.inputs.shape[1:]}, and several nets are "
            "trained on tables and matrices (N, n): leave out members, or flatten the rows",
            settings=("members",),
        )
    multilabel = recipe.task == "multilabel"
    classes = Classes.multilabel_of(train) if multilabel else Classes.of(train)
    names = views(recipe, Meeting.of(train))[: recipe.members or 1]
    preprocessing = JoinedPreprocessing.of(
        [Preprocessing.fit(train, name, recipe.scaling_range, bins=recipe.bins) for name in names]
    )
    inputs = preprocessing.prepare(train)
    binary = len(classes) == 2 and not multilabel
    objective = Objective("multilabel" if multilabel else "binary" if binary else "multiclass")
    blank = Classifier(torch.nn.Identity(), objective, preprocessing, classes)
    targets = blank.targets(train)
    members, folds = _members(
        recipe, names, preprocessing, blank, PreparedPart(inputs, targets, train.weights)
    )
    parts = {name: blank.prepare(part) for name, part in dataset.parts() if name != "train"}
    return Portfolio(
        recipe,
        dataset,
        members,
        names,
        objective,
        classes,
        preprocessing,
        inputs,
        targets,
        train.weights,
        parts,
        (
            *notes,
            *_summary(members, folds, parts, len(targets), classes, preprocessing),
            *dataset.notes,
            *classes.notes,
        ),
    )


def _counted(nets: Sequence[object]) -> str:
    return f"{len(nets)} net{'s' * (len(nets) != 1)}"


def outputs_of(objective: Objective, classes: Classes) -> int:
    """The width of a net's last layer."""
    return 1 if objective.kind == "binary" else len(classes)


def in_view(inputs: Inputs, span: tuple[int, int], rows: NDArray[np.int64] | None) -> Inputs:
    """Some rows of a prepared matrix with some of its columns; nothing is copied."""
    return replace(inputs.columns(*span), rows=rows)


def _members(
    recipe: Recipe,
    names: tuple[str, ...],
    preprocessing: JoinedPreprocessing,
    blank: Classifier,
    train: PreparedPart,
) -> tuple[tuple[Member, ...], int]:
    """The nets, and how many folds there are. blank: a classifier that lacks its net."""
    count, objective = recipe.members or 1, blank.objective
    inputs, targets, weights = train
    if recipe.device is not None:
        raise RecipeError(
            "the nets of an ensemble train on the processor: leave out device", settings=("device",)
        )
    folds = min(max(_FEWEST_FOLDS, -(-count // len(names))), len(targets))
    fold_of = fold_of_rows(targets, folds, recipe.seed)
    members = []
    for k in range(count):
        view, fold = k % len(names), k // len(names) % folds
        held_out, rows = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        span = preprocessing.spans[view]
        own = _recipe_of(recipe, k, names[view])
        model = _net_of(own, preprocessing.parts[view], outputs_of(objective, blank.classes))
        plan = Plan(
            model,
            objective,
            in_view(inputs, span, rows),
            targets[rows],
            own,
            blank.classes.names,
            sample_weights=None if weights is None else weights[rows],
        )
        _ = plan.loss, plan.row_weights
        require_rows_apart(plan)
        members.append(Member(view, fold, held_out, span, plan, choose(plan)))
    return tuple(members), folds


def _recipe_of(recipe: Recipe, k: int, scaling: str) -> Recipe:
    """The recipe of one net: that of a run of its own."""
    seed = torch_seed(recipe.seed, Purpose.MEMBER, 0, stream=k)
    # What a bin of a number is needs no embedding; nets that see the number itself have it.
    bare = {"numeric_embedding": None, "periodic_sigma": None} if scaling == "piecewise" else {}
    return recipe.replace(**_PLAIN, **bare, seed=seed, scaling=scaling)


def _net_of(recipe: Recipe, part: Preprocessing, outputs: int) -> torch.nn.Sequential:
    """The untrained net of one view."""
    return net_of(recipe, part.shape, outputs, numbers=part.numbers, categories=part.categories)


def _summary(
    members: tuple[Member, ...],
    folds: int,
    parts: dict[str, PreparedPart],
    rows: int,
    classes: Classes,
    preprocessing: JoinedPreprocessing,
) -> Iterator[str]:
    sizes = {"train": rows} | {name: len(part.targets) for name, part in parts.items()}
    yield "rows: " + ", ".join(f"{name} {size}" for name, size in sizes.items())
    shown = ", ".join(classes.names[:10]) + (", ..." if len(classes) > 10 else "")
    yield f"{len(classes)} classes: {shown}"
    yield from preprocessing.summary()
    parameters = sum(p.numel() for m in members for p in m.plan.model.parameters())
    yield (
        f"model: Ensemble of {len(members)} nets, {parameters:,} parameters; each learns from all "
        f"but one of {folds} folds of the training rows and is measured on that one"
    )
