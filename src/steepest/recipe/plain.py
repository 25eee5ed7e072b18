"""Values as others give them, NumPy's for instance, made plain ones."""

import os
from collections.abc import Mapping
from typing import Any

from steepest.errors import RecipeError

# Of parameter groups: a table, its tables, their numbers.
_DEEPEST = 3
# Told by their type alone: a sweep makes thousands of recipes.
_PLAIN = frozenset({str, int, float, bool, type(None)})


def plain(value: Any, levels: int = _DEEPEST) -> Any:
    """The same as plain Python values, so that recipes can be compared and written as TOML.

    NumPy's scalars and tensors of no dimension become numbers; arrays, tensors, ranges and lists
    become tuples; paths become strings. What is deeper than any setting stays as it is.
    """
    if type(value) in _PLAIN or levels == 0:
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {plain(key, levels - 1): plain(own, levels - 1) for key, own in value.items()}
    if hasattr(value, "tolist"):  # an array or a tensor: plain numbers, or lists of them
        value = value.tolist()
    if isinstance(value, (list, tuple, range)):
        return tuple(plain(own, levels - 1) for own in value)
    return value


def by_class_name(weights: Any) -> Any:
    """Class weights given for labels, {0: 1.0}, as those of the names of their classes.

    Raises RecipeError if a class gets two weights so.
    """
    if not isinstance(weights, dict):
        return weights
    named = {_class_name(key): own for key, own in weights.items()}
    if len(named) < len(weights):
        raise RecipeError(
            f"class_weight gives a class two weights: {weights}", settings=("class_weight",)
        )
    return named


def _class_name(key: Any) -> Any:
    """What the class of this label is called: as `Classes` does, 1.0 is the class "1"."""
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    return str(key) if isinstance(key, (bool, int, float)) else key
