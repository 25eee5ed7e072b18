"""A playground as code: the same training in Python and on the command line."""

from typing import Any

from steepest.board.playground.playground import Playground
from steepest.recipe import Recipe

_FILE = "points.csv"
# What a recipe of the playground has beside its own settings, or by which it is only cheaper.
_OWN = ("threads", "check", "data")


def as_python(playground: Playground) -> str:
    """A script that trains the first lane: the same bits, from the playground's own file."""
    settings = _given(playground.chosen.recipes[0])
    lines = [f"    {name}={value!r}," for name, value in settings.items()]
    return "\n".join(
        [
            "import steepest as sp",
            "",
            "run = sp.train(",
            f'    data="{_FILE}",',
            '    target="class",',
            *lines,
            ")",
            "print(run.scores)",
            "print(run.findings)",
            "",
        ]
    )


def as_command(playground: Playground) -> str:
    """The command that trains the first lane."""
    words = [f"steepest train {_FILE} --target class"]
    words += [_option(n, v) for n, v in _given(playground.chosen.recipes[0]).items()]
    return " ".join(words)


def _given(recipe: Recipe) -> dict[str, Any]:
    """What is asked for and is not what would be without being asked."""
    default = Recipe()
    asked = ("hidden", "optimizer")  # without them a table is trained by its preset
    return {
        name: value
        for name, value in recipe.to_dict().items()
        if name not in _OWN and value is not None
        if name in asked or (name in recipe.given and value != getattr(default, name))
    }


def _option(name: str, value: Any) -> str:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return flag if value else f"--no-{flag[2:]}"
    if isinstance(value, tuple | list):
        return f"{flag} {','.join(map(str, value))}" if value else f'{flag} ""'
    return f"{flag} {value}"
