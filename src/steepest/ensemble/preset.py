"""Whether a training has a preset, and whether it is one of several nets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from steepest.data import Dataset, Samples, available_memory, is_named
from steepest.data.sources.frames import is_frame
from steepest.errors import RecipeError
from steepest.presets import Meeting, bins_for, contradicts, decide
from steepest.recipe import Recipe
from steepest.run import load_whole, split_by

_SHARE_OF_MEMORY = 0.5
_FILES_OF_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".npz", ".npy")


@dataclass(frozen=True, eq=False)
class Decision:
    """What is to be trained.

    Attributes:
        recipe: With all that a preset decided.
        dataset: Its parts, if the data had to be looked at for this.
        line: What a preset decided, if there is one.
    """

    recipe: Recipe
    dataset: Dataset | None = None
    line: str = ""

    @property
    def several(self) -> bool:
        """Whether it is more than one net."""
        return (self.recipe.members or 1) > 1


def decided(model: nn.Module | None, data: Any, recipe: Recipe, *, by_hand: bool) -> Decision:
    """The decision for these arguments of `train`.

    Args:
        model: As for `train`.
        data: As for `train`.
        recipe: What was asked for.
        by_hand: Whether an argument beside the recipe says how to train.
    """
    if model is not None and (recipe.members or 1) > 1:
        raise RecipeError(
            f"members = {recipe.members} nets are built from the recipe, and a model was given: "
            "leave out one of the two"
        )
    asked = recipe.preset
    source = recipe.data if data is None else data
    if asked is None:
        plain = model is not None or by_hand or contradicts(recipe) or not _may_be_table(source)
        if plain and (recipe.members or 1) == 1:
            return Decision(recipe)
    # The folds hold rows out: a further part is taken only where it is asked for.
    folds = recipe if "validation" in recipe.given else recipe.replace(validation=0.0)
    whole = load_whole(data, recipe)
    held = split_by(whole, folds)
    met = Meeting.of(held.train)
    name = asked or ("tabular" if not contradicts(recipe) and _suits(met) else None)
    if name is None:
        several = (recipe.members or 1) > 1
        return Decision(folds, held) if several else Decision(recipe, split_by(whole, recipe))
    made, line = decide(name, recipe, met, has_net=model is not None)
    if (made.members or 1) > 1:
        return Decision(made, held, line)
    if name == "tabular" and made.scaling == "auto":
        made = made.replace(scaling="quantile")
    return Decision(made, split_by(whole, made), line)


def _suits(met: Meeting) -> bool:
    """Whether these are rows for the preset for tables: its two views lie in memory as floats."""
    there = available_memory()
    needed = 4 * met.rows * (met.columns + met.numeric * (1 + bins_for(met.numeric)))
    fits = there is None or needed < there * _SHARE_OF_MEMORY
    return met.is_table and met.rows > 1 and fits


def _may_be_table(source: Any) -> bool:
    """Whether it is worth a look: pictures are not read twice."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        named = isinstance(source, str) and is_named(source) and "mnist" not in source.lower()
        return named or path.suffix.lower() in _FILES_OF_TABLES or _has_parquet(path)
    return isinstance(source, (Dataset, Samples, tuple, list)) or bool(is_frame(source))


def _has_parquet(path: Path) -> bool:
    try:
        return path.is_dir() and any(path.glob("*.parquet"))
    except OSError:
        return False
