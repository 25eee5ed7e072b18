"""What the runs of a sweep share: data read once, encoded once for each split, checked once."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, replace
from typing import Any, NamedTuple, Self

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from steepest.data import Dataset
from steepest.engine import EngineChoice, NativeEngine, process_state, seed_generators
from steepest.ensemble.portfolio import prepare_portfolio
from steepest.ensemble.preset import Decision, decided
from steepest.errors import ModelError
from steepest.random import Purpose, torch_seed
from steepest.recipe import Recipe
from steepest.run import load_whole, split_by
from steepest.training.model_checks import require_trainable
from steepest.training.preparation import (
    Preparation,
    net_for,
    prepare_alike,
    prepare_parts,
)

Model = nn.Module | Callable[[Recipe], nn.Module] | None

# What decides which rows there are, and how they are encoded and scaled.
_OF_READING = ("target", "ignore", "image_size", "task")
_OF_ROWS = (*_OF_READING, "validation", "test", "scaling", "scaling_range", "bins")
# Of these numbers no check depends on more than whether they are 0.
_ONLY_NUMBERS = (
    *("lr", "momentum", "weight_decay", "l1", "l2", "label_smoothing", "dropout"),
    *("clip_norm", "clip_value", "gamma", "min_lr", "ema", "eps", "pos_weight", "focal_gamma"),
)


# Splits are kept ready up to so many bytes, the net and its plan in each.
_MOST_BYTES, _BYTES_BESIDE_ROWS = 64 * 2**20, 64 * 2**10

_MOST_LOOKED_AT = 1024

_DEFAULTS = {field.name: field.default for field in fields(Recipe)}


class Preparations:
    """Prepares runs, each with a model and an engine of its own, on rows that are shared.

    Args:
        model: None for nets of the recipe; a module, of which each run trains a copy; or a function
            from a recipe to a module.
        data: As for `train`.
        read: All rows by how they are read, where that was done elsewhere.

    Attributes:
        model: What each run begins with.
        read: All rows by how they are read, as far as they were.
    """

    def __init__(self, model: Model, data: Any, read: dict[Any, Dataset] | None = None) -> None:
        self.model, self._data = model, data
        self._lock = threading.RLock()
        self.read: dict[Any, Dataset] = read or {}
        self._plain: dict[Any, bool] = {}
        self._rows: OrderedDict[Hashable, Preparation] = OrderedDict()
        self._choices: dict[Any, EngineChoice] = {}
        self._looked_at: dict[int, tuple[Recipe, _Keys]] = {}

    def _keys(self, recipe: Recipe) -> "_Keys":
        """What is asked a dozen times of each run, found once for each recipe object."""
        found = self._looked_at.get(id(recipe))
        if found is None or found[0] is not recipe:  # another one may have had its place in memory
            if len(self._looked_at) >= _MOST_LOOKED_AT:
                self._looked_at.clear()
            found = self._looked_at[id(recipe)] = recipe, _Keys.of(recipe)
        return found[1]

    def whole(self, recipe: Recipe) -> Dataset:
        """All rows, read but not split."""
        key = _values(recipe, _OF_READING) + tuple(
            value if isinstance(value := getattr(recipe, part), str) else None
            for part in ("validation", "test")
        )
        with self._lock:
            if key not in self.read:
                self.read[key] = load_whole(self._data, recipe)
            return self.read[key]

    def is_plain(self, recipe: Recipe) -> bool:
        """Whether a recipe trains one net on these data, and no preset decides."""
        kind = self._keys(recipe).kind
        if kind not in self._plain:
            decision = self._decision(recipe)
            self._plain[kind] = not decision.several and decision.recipe == recipe
        return self._plain[kind]

    def check_decided(self, recipe: Recipe) -> None:
        """Prepare once what a preset decides, or several nets, and forget it.

        Raises:
            SteepestError: Of whatever does not fit.
        """
        decision = self._decision(recipe)
        if decision.several and decision.dataset is not None:
            prepare_portfolio(decision.dataset, decision.recipe)
        else:
            self._prepared_rows(decision.recipe)

    def _decision(self, recipe: Recipe) -> Decision:
        return decided(
            self.model if isinstance(self.model, nn.Module) else None,
            self.whole(recipe),
            recipe,
            by_hand=self.model is not None,
        )

    def of(self, recipe: Recipe) -> Preparation:
        """The preparation of a run.

        Raises:
            SteepestError: Of whatever does not fit.
        """
        rows = self._prepared_rows(recipe)
        model = self._new_model(recipe, rows)
        if any(map(is_lazy, model.parameters())):  # its shapes are known after a first batch
            return prepare_parts(model, rows.dataset, recipe)
        key = self._keys(recipe).kind
        prepared = prepare_alike(rows, model, recipe, self._choices.get(key))
        self._choices.setdefault(key, prepared.choice)
        # Not as measured on whichever net of the sweep came first.
        return prepared if self.model else replace(prepared, row_flops=_row_flops(model))

    def kind(self, recipe: Recipe) -> Hashable:
        """What decides whether a recipe fits; equal of recipes that differ in numbers alone."""
        return self._keys(recipe).kind

    def knows(self, recipe: Recipe) -> bool:
        """Whether `of` has prepared one of its kind."""
        return self._keys(recipe).kind in self._choices

    def is_native(self, recipe: Recipe) -> bool:
        """Whether the native engine trains this recipe, as `of` has found for one of its kind."""
        choice = self._choices.get(self._keys(recipe).kind)
        return choice is not None and isinstance(choice.engine, NativeEngine)

    def rows_key(self, recipe: Recipe) -> Hashable:
        """What decides which rows there are; equal of recipes that share them."""
        whole = self.whole(recipe)
        drawn = any(  # a part that the data bring stays as it is
            isinstance(share, float) and share and part is None
            for share, part in ((recipe.validation, whole.validation), (recipe.test, whole.test))
        )
        return (*_values(recipe, _OF_ROWS), recipe.seed if drawn else None)

    def key_without_lr(self, recipe: Recipe) -> Hashable:
        """Equal of recipes that differ in seed and learning rate alone."""
        return self._keys(recipe).without_lr

    @property
    def draws(self) -> bool:
        """Whether the first weights of a run depend on its recipe."""
        return not isinstance(self.model, nn.Module)

    def redraws(self, recipe: Recipe) -> bool:
        """Whether nothing but the weights of LinearLayers is drawn, as `redraw` does."""
        special = recipe.numeric_embedding, recipe.category_embedding, recipe.batch_ensemble
        return self.model is None and not any(special)

    def new_model(self, recipe: Recipe) -> nn.Module:
        """The model of a run, with its first weights."""
        return self._new_model(recipe, self._prepared_rows(recipe))

    def _prepared_rows(self, recipe: Recipe) -> Preparation:
        """Some preparation with the rows of this recipe."""
        key = self.rows_key(recipe)
        with self._lock:
            if key not in self._rows:
                parts = split_by(self.whole(recipe), recipe)
                model = self.begun_model(recipe)
                require_trainable(model, recipe)
                self._rows[key] = prepare_parts(model, parts, recipe)
            self._rows.move_to_end(key)
            while len(self._rows) > 1 and sum(map(_size, self._rows.values())) > _MOST_BYTES:
                self._rows.popitem(last=False)
            return self._rows[key]

    def _new_model(self, recipe: Recipe, rows: Preparation) -> nn.Module:
        model = self.begun_model(recipe)
        if model is not None:
            return model
        outputs = 1 if rows.classifier.objective.kind == "binary" else len(rows.classifier.classes)
        return net_for(recipe, rows.classifier.preprocessing, outputs)

    def begun_model(self, recipe: Recipe) -> nn.Module | None:
        """The user's model with its first weights."""
        if self.model is None:
            return None
        if isinstance(self.model, nn.Module):
            return copy.deepcopy(self.model)
        with process_state(torch.device("cpu")):
            seed_generators(torch_seed(recipe.seed, Purpose.INITIALISATION, 0))
            model = self.model(recipe)
        if not isinstance(model, nn.Module):
            raise ModelError(
                "model must be a torch.nn.Module, or a function that makes one of a recipe, but it "
                f"made a {type(model).__name__}"
            )
        return model


def _row_flops(model: nn.Module) -> float:
    """Of a forward pass of a row through a net of linear layers."""
    return 2.0 * sum(p.numel() for p in model.parameters() if p.ndim > 1)


def _size(prepared: Preparation) -> int:
    """About how many bytes the rows of one split take that no other one has."""
    parts = prepared.parts.values()
    own = sum(2 * part.targets.nbytes for part in parts)
    arrays = {
        id(part.inputs.array): part.inputs.array.nbytes for part in parts
        if part.inputs.rows is None
    }  # fmt: skip
    return own + sum(arrays.values()) + _BYTES_BESIDE_ROWS


def _values(recipe: Recipe, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(recipe, name) for name in names)


class _Keys(NamedTuple):
    """What recipes are told apart by: settings that are not left at their defaults, but the seed.

    kind: of numbers that no check depends on, whether they are 0. without_lr: all but that.
    """

    kind: Hashable
    without_lr: Hashable

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        told = [
            (name, repr(value) if isinstance(value, dict) else value)
            for name, value in vars(recipe).items()
            if value is not _DEFAULTS.get(name) and name in _DEFAULTS and name != "seed"
        ]
        return cls(
            kind=tuple(
                (name, value != 0)
                if name in _ONLY_NUMBERS and isinstance(value, (int, float))
                else (name, value)
                for name, value in told
            ),
            without_lr=tuple(one for one in told if one[0] != "lr"),
        )
