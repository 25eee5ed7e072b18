"""Points: the trials of a sweep as a person names them, by number or by settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from steepest.errors import RunError
from steepest.recipe.plain import plain
from steepest.sweeps.space import shown, value_text


class Points:
    """The settings of each trial.

    Args:
        trials: As a record has them: JSON, which has lists for tuples.
    """

    def __init__(self, trials: Sequence[Mapping[str, Any]]) -> None:
        self._points = [
            {name: as_setting(value) for name, value in trial.items()} for trial in trials
        ]

    def __getitem__(self, trial: int) -> dict[str, Any]:
        return self._points[trial]

    def __len__(self) -> int:
        return len(self._points)

    def column(self, name: str) -> pl.Series:
        """The values of a setting: numbers and switches as they are, others as text."""
        return _column(name, [point.get(name) for point in self._points])

    def number(self, which: Any) -> int:
        """The number of the trial that is meant.

        Args:
            which: Its number, or settings that no other trial has.

        Raises:
            RunError: There is no such trial, or several.
        """
        if isinstance(which, int) and not isinstance(which, bool):
            if not 0 <= which < len(self._points):
                raise RunError(f"there is no trial {which}: they are 0 to {len(self._points) - 1}")
            return which
        if not isinstance(which, Mapping):
            raise RunError(
                f"a trial is its number or its settings, as {{'lr': 0.1}}, but is {which!r:.60}"
            )
        asked = {str(name): plain(value) for name, value in which.items()}
        found = [
            i for i, point in enumerate(self._points)
            if all(name in point and point[name] == value for name, value in asked.items())
        ]  # fmt: skip
        if len(found) != 1:
            many = f"trials {', '.join(map(str, found[:5]))}{', ...' * (len(found) > 5)} have"
            raise RunError(
                f"{many if found else 'no trial of this sweep has'} {shown(asked) or 'these'}: "
                "one trial is meant"
            )
        return found[0]

    def pair(self, ranked: Sequence[int], one: Any, other: Any) -> tuple[int, int]:
        """The numbers of two trials.

        Args:
            ranked: All of them, the best first.
            one: A trial as for `number`; None for the best that is left.
            other: Likewise.

        Raises:
            RunError: They are one, or as `number`.
        """
        said = [None if which is None else self.number(which) for which in (one, other)]
        left = iter([trial for trial in ranked if trial not in said])
        first, second = (next(left, None) if trial is None else trial for trial in said)
        if first is None or second is None or first == second:
            why = "these are one" if len(ranked) > 1 else "this sweep has one"
            raise RunError(f"two trials are compared, and {why}")
        return first, second

    def told_apart(self, one: int, other: int) -> tuple[str, str]:
        """Two trials, by the settings in which they differ."""
        first, second = self[one], self[other]
        differ = [name for name in first if first[name] != second.get(name)]
        if not differ:
            return f"trial {one}", f"trial {other}"
        for digits in (4, 17):  # as few as tell them apart
            texts = [
                ", ".join(f"{name} = {_brief(point[name], digits)}" for name in differ)
                for point in (first, second)
            ]
            if texts[0] != texts[1]:
                break
        return texts[0], texts[1]


def _brief(value: Any, digits: int) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else value_text(value)


def as_setting(value: Any) -> Any:
    """A value of a setting from JSON, which has lists for tuples."""
    return tuple(map(as_setting, value)) if isinstance(value, list) else value


def _column(name: str, values: list[Any]) -> pl.Series:
    """The values of a setting as a column: numbers and switches as they are, others as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int}:
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds and kinds <= {int, float}:
        return pl.Series(name, [v if v is None else float(v) for v in values], dtype=pl.Float64)
    texts = [None if value is None else value_text(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)
