"""The form of a recipe, made from the settings' metadata, and what was written into it.

A field holds what the option of `steepest train` would: it is read by the same code, refused with
the same words, and one that is left empty is not given.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w

from steepest.errors import Mistake, RecipeError
from steepest.recipe import (
    DATA_SETS,
    SETTINGS,
    Recipe,
    default_text,
    is_met,
    settings_by_group,
    written,
)

# The headings that are open at first: the others hold what one seldom changes.
_OPEN = {"Data", "Net", "Run", "Optimizer"}
# What one changes when a run goes on: as `steepest resume`, and what ends a run early.
ON_RESUME = ("epochs", "lr", "patience", "time_limit")
_DEFAULTS = {f.name: f.default for fields in settings_by_group().values() for f in fields}


def form() -> list[dict[str, Any]]:
    """The headings with their settings: all that a page knows of them."""
    return [
        {
            "name": group,
            "open": group in _OPEN,
            "settings": [
                {
                    "name": field.name,
                    "help": _help(field.name),
                    "default": default_text(field),
                    "values": _values(field.name),
                    "expected": SETTINGS[field.name].values.expected,
                    "suggested": list(DATA_SETS) if field.name == "data" else [],
                }
                for field in fields
            ],
        }
        for group, fields in settings_by_group().items()
    ]


def _help(name: str) -> str:
    """The line of help; none where it is the values, which a list shows anyway."""
    text = SETTINGS[name].help
    return "" if text == ", ".join(SETTINGS[name].values.names) else text


def _values(name: str) -> list[str]:
    """The values of a setting of few; none where any text may be one."""
    values = SETTINGS[name].values
    return ["on", "off"] if values.switch else list(values.names)


def settings_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """The settings that these texts say, by name.

    Raises RecipeError for all that cannot be read, each with its setting.
    """
    settings, mistakes = dict[str, Any](texts), []
    for name, text in texts.items():
        if name not in SETTINGS:
            continue  # the recipe says what was meant
        values = SETTINGS[name].values
        try:
            settings[name] = values.parse(text)
        except (ValueError, RecursionError):
            said = f"{name} must be {values.expected}, but is {text[:100]!r}"
            mistakes.append(Mistake(said, (name,)))
    if mistakes:
        raise RecipeError.of(mistakes)
    return settings


def recipe_of(texts: Mapping[str, str]) -> Recipe:
    """The recipe of a form. Raises RecipeError as `Recipe` does, and where no data are named."""
    recipe = Recipe(**settings_of(texts))
    if recipe.data is None:
        raise RecipeError(
            f"name the data: a file, a folder, or one of {', '.join(DATA_SETS)}",
            settings=("data",),
        )
    return recipe


def without_meaning(texts: Mapping[str, str]) -> list[str]:
    """The settings that have no effect beside what is written now."""
    values = dict(_DEFAULTS)
    for name, text in texts.items():
        try:
            values |= settings_of({name: text})
        except RecipeError:
            continue
    return [name for name, one in SETTINGS.items() if not is_met(one, values)]


def toml_of(recipe: Recipe) -> str:
    """The settings that were given, as a recipe.toml that `steepest train` takes."""
    given = {name: value for name, value in recipe.to_dict().items() if name in recipe.given}
    return tomli_w.dumps(given)


def command_of(recipe: Recipe, out: str) -> str:
    """What does the same on the command line. out: the folder of the run."""
    source = str(recipe.data)
    words = ["steepest", "train", f"./{source}" if source.startswith("-") else source]
    words += [part for name in SETTINGS for part in _option(recipe, name)]
    return shlex.join([*words, "--out", out])


def _option(recipe: Recipe, name: str) -> Iterator[str]:
    value, option = getattr(recipe, name), name.replace("_", "-")
    if name not in recipe.given or name == "data" or value is None:
        return
    if SETTINGS[name].values.switch:
        yield f"--{option}" if value else f"--no-{option}"
    else:
        yield f"--{option}"
        yield written(value)


def texts_of(recipe: Mapping[str, Any]) -> dict[str, str]:
    """What a form says of a run's recipe.toml, so that training it gives the same run.

    That is what differs from the defaults. Beside a preset, which decides what is not given, it is
    all that decides a run; and without one something must be given that keeps it away. The file may
    be a stranger's: what is no value of its setting is left out.
    """
    by_preset = "preset" in recipe
    texts = {}
    for name, setting in SETTINGS.items():
        value = recipe.get(name)
        value = tuple(value) if isinstance(value, list) else value
        default = _DEFAULTS[name]
        decides = by_preset and setting.affects_result and value not in (None, ())
        if value is not None and setting.values.holds(value) and (value != default or decides):
            texts[name] = written(value)
    if not by_preset and not any(SETTINGS[name].rules_out_preset for name in texts):
        texts["optimizer"] = str(_DEFAULTS["optimizer"])
    return texts


def named_by(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The settings of a recipe that lead to files, and where: a name of a data set does not."""
    for name in ("data", "validation", "test", "target"):
        value = recipe.get(name)
        is_file = name != "target" or str(recipe.get("data", "")).lower().endswith(".npy")
        if isinstance(value, str) and is_file and not _is_data_set(value):
            yield name, value


def _is_data_set(text: str) -> bool:
    # As `steepest.data.is_named`, which takes what reads data.
    return text.lower().replace("-", "_") in DATA_SETS and not os.path.lexists(text)


def require_resumable(recipe: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Raise RecipeError for a setting with which a run cannot go on, or a value that is none.

    recipe: of the run, from its file.
    """
    several = isinstance(recipe.get("members"), int) and recipe["members"] > 1
    mistakes = [
        Mistake(f"a run cannot go on with another {name}: begin a new one", (name,))
        for name in texts
        if name in SETTINGS
        and not (SETTINGS[name].resumable_with_members if several else SETTINGS[name].resumable)
    ]
    if mistakes:
        raise RecipeError.of(mistakes)
    known = {name: value for name, value in recipe.items() if name in SETTINGS}
    Recipe(**known).replace(**settings_of(texts))
