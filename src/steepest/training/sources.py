"""What a run's recipe calls its data, so that they are found again from any working directory."""

from pathlib import Path
from typing import Any

from steepest.data import is_named
from steepest.recipe import Recipe


def with_sources(recipe: Recipe, data: Any) -> Recipe:
    """The recipe of a run on these data: files as absolute paths, names as they are.

    data: as `train` takes them; None for those of the recipe. Objects have no name that a later
    process could read, so the recipe names none then, whatever it named before.
    """
    source = recipe.data if data is None else data
    changed: dict[str, Any] = {"data": _lasting(source)}
    for part in ("validation", "test"):
        value = getattr(recipe, part)
        if isinstance(value, str):
            changed[part] = _lasting(value) or value
    # The labels of an NPY file are another one.
    if recipe.target is not None and (changed["data"] or "").lower().endswith(".npy"):
        changed["target"] = _lasting(recipe.target) or recipe.target
    return recipe.replace(**changed)


def _lasting(source: Any) -> str | None:
    if not isinstance(source, (str, Path)):
        return None
    if isinstance(source, str) and is_named(source):
        return source
    try:
        path = Path(source).expanduser()
        found = str(path.absolute()) if path.exists() else str(source)
        found.encode()
    except (OSError, RuntimeError, ValueError):  # no such home; a name that is not UTF-8
        return None
    return found
