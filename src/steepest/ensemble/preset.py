"""Whether a training has a preset, and whether it is one of several nets."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from steepest.data import Dataset, available_memory
from steepest.errors import RecipeError
from steepest.presets import Meeting, bins_for, contradicts, decide
from steepest.recipe import Recipe
from steepest.run import load_whole, split_by

_SHARE_OF_MEMORY = 0.5


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
    if asked is None:
        plain = model is not None or by_hand or contradicts(recipe)
        if plain and (recipe.members or 1) == 1:
            return Decision(recipe)
    # The folds hold rows out: a further part is taken only where it is asked for.
    folds = recipe if "validation" in recipe.given else recipe.replace(validation=0.0)
    whole = load_whole(data, recipe)
    held = split_by(whole, folds)
    met = Meeting.of(held.train)
    name = asked or (None if contradicts(recipe) else _suited(met))
    if name is None:
        several = (recipe.members or 1) > 1
        return Decision(folds, held) if several else Decision(recipe, split_by(whole, recipe))
    made, line = decide(name, recipe, met, has_net=model is not None)
    if (made.members or 1) > 1:
        return Decision(made, held, line)
    if name == "tabular" and made.scaling == "auto":
        made = made.replace(scaling="quantile")
    return Decision(made, split_by(whole, made), line)


def _suited(met: Meeting) -> str | None:
    """The preset for such rows; of a table, where its two views find room in memory as floats."""
    if met.image is not None:
        return "image" if met.rows > 1 else None
    there = available_memory()
    needed = 4 * met.rows * (met.columns + met.numeric * (1 + bins_for(met.numeric)))
    fits = there is None or needed < there * _SHARE_OF_MEMORY
    return "tabular" if met.is_table and met.rows > 1 and fits else None
