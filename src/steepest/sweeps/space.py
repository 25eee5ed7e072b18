"""Space: which settings a sweep varies, with their values, and the points that samplers take."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from steepest.errors import RecipeError
from steepest.random import Purpose
from steepest.random import uniform as random_numbers
from steepest.recipe import SETTINGS, Recipe
from steepest.recipe.names import unknown_names
from steepest.recipe.plain import plain
from steepest.sweeps.distributions import Between, Choice, Distribution, distribution_called

SAMPLERS = ("grid", "random", "sobol", "optuna")
MOST_RUNS = 1_000_000
_MOST_SHOWN = 10
# What the runs of a sweep have in common, and why.
_NOT_SWEPT = {
    "seed": "the seeds are an argument of their own: seeds=16, or a list of them",
    "data": "a sweep is of one data set",
    "device": "where runs are trained is no result",
    "time_limit": "a run that is ended by the clock has other bits each time",
}
Point = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """The settings that vary, in the order in which they were given.

    Attributes:
        dimensions: Where the values of each come from, by its name.
    """

    dimensions: Mapping[str, Distribution]

    @classmethod
    def of(cls, space: Any) -> Self:
        """From what a user gives: a list of values or a distribution for each setting.

        Raises:
            RecipeError: Lists all mistakes: unknown settings, values that one cannot have, empty
                lists.
        """
        if isinstance(space, Space):
            return cls(space.dimensions)
        if not isinstance(space, Mapping):
            raise RecipeError(
                "the second argument says what varies, settings with their values: "
                f"{{'lr': [0.01, 0.1]}}, but it is a {type(space).__name__}"
            )
        mistakes = unknown_names(map(str, space), SETTINGS)
        dimensions: dict[str, Distribution] = {}
        for name, given in space.items():
            if name not in SETTINGS:
                continue
            made = _dimension(name, given)
            if isinstance(made, str):
                mistakes.append(made)
                continue
            dimensions[name] = made
        if mistakes:
            raise RecipeError("; ".join(mistakes))
        return cls(dimensions)

    @classmethod
    def from_text(cls, texts: Iterable[str]) -> Self:
        """From a command line: lr=0.01,0.1,1; hidden=64;128,128; lr=log_uniform(1e-4,1).

        Raises:
            RecipeError: As `of`, and for a text that is none of these.
        """
        space: dict[str, Any] = {}
        for text in texts:
            name, equals, values = text.partition("=")
            name = name.strip().replace("-", "_")
            if not equals or not name:
                raise RecipeError(f"{text!r} is not SETTING=VALUE,VALUE, as in lr=0.01,0.1,1")
            if name in space:
                raise RecipeError(f"{name} was given twice; give all its values at once")
            space[name] = _values_of(name, values) if name in SETTINGS else [values]
        return cls.of(space)

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that vary."""
        return tuple(self.dimensions)

    @property
    def grid_size(self) -> int:
        """How many combinations there are. Raises RecipeError if a distribution is among them."""
        return math.prod(len(choice.values) for choice in self._choices())

    def grid(self) -> Iterator[Point]:
        """Every combination, the last setting varying fastest."""
        values = [choice.values for choice in self._choices()]
        return (dict(zip(self.names, one, strict=True)) for one in itertools.product(*values))

    def random(self, count: int, seed: int) -> Iterator[Point]:
        """So many points drawn at random; the first ones are the same whatever their number."""
        for i in range(count):
            yield self.at(random_numbers(seed, Purpose.SEARCH, i, len(self.names)))

    def sobol(self, count: int, seed: int) -> Iterator[Point]:
        """So many points of Sobol's sequence, which fill the space more evenly than random ones.

        Source:
            Owen, "Scrambling Sobol' and Niederreiter-Xing points", Journal of Complexity 1998.
        """
        from scipy.stats.qmc import Sobol

        if not self.names:
            return (Point() for _ in range(count))
        power = max(0, math.ceil(math.log2(max(count, 1))))
        points = Sobol(len(self.names), rng=seed).random_base2(power)
        return (self.at(point) for point in points[:count])

    def at(self, numbers: Iterable[float]) -> Point:
        """The point at these numbers in [0, 1), one for each setting."""
        pairs = zip(self.dimensions.items(), numbers, strict=True)
        return {name: dimension.at(float(u)) for (name, dimension), u in pairs}

    def corners(self, most: int) -> list[Point]:
        """Combinations of all values of lists and of the ends of distributions, the first ones."""
        values = [dimension.ends for dimension in self.dimensions.values()]
        found = itertools.islice(itertools.product(*values), most)
        return [dict(zip(self.names, one, strict=True)) for one in found]

    def to_json(self) -> dict[str, Any]:
        """As plain data, from which `of` makes it again."""
        return {name: dimension.to_json() for name, dimension in self.dimensions.items()}

    def _choices(self) -> list[Choice]:
        endless = [n for n, one in self.dimensions.items() if not isinstance(one, Choice)]
        if endless:
            raise RecipeError(
                f"a grid needs lists of values, but {' and '.join(endless)} has a distribution: "
                "take sampler='random' or 'sobol', with trials"
            )
        return [one for one in self.dimensions.values() if isinstance(one, Choice)]


def points_of(space: Space, sampler: str, trials: int | None, seeds: int, seed: int) -> list[Point]:
    """The points that a sampler takes.

    Args:
        space: What varies.
        sampler: "grid", "random" or "sobol".
        trials: How many points; None for all of a grid.
        seeds: How often each is trained.
        seed: Decides random points.

    Raises:
        RecipeError: There would be too many runs, or none, or their number is not said.
    """
    if sampler == "grid":
        if trials is not None:
            raise RecipeError("a grid is taken whole: leave out trials, or take sampler='random'")
        count = space.grid_size
    else:
        if trials is None:
            raise RecipeError(f"sampler={sampler!r} needs the number of points: trials=100")
        if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
            raise RecipeError(f"trials must be a whole number of at least 1, but is {trials!r:.40}")
        count = trials
    if count * seeds > MOST_RUNS:
        shown = " x ".join(
            f"{name} {len(d.values)}" for name, d in space.dimensions.items()
            if sampler == "grid" and isinstance(d, Choice)
        )  # fmt: skip
        raise RecipeError(
            f"{count:,} combinations{f' ({shown})' if shown else ''} with {seeds} seeds each are "
            f"{count * seeds:,} runs, and a sweep has at most {MOST_RUNS:,}: take fewer values, or "
            "sampler='random' with trials=1000"
        )
    if sampler == "grid":
        return list(space.grid())
    if sampler.startswith("optuna"):  # one after the other
        return []
    return list((space.random if sampler == "random" else space.sobol)(count, seed))


def differences_of(base: Recipe, points: Sequence[Point]) -> list[dict[str, Any]]:
    """What the recipe of each point has other than the base.

    Raises:
        RecipeError: Some combinations are no recipe: they are named, with the reason of each.
    """
    made, refused = [], list[tuple[Point, str]]()
    given = dict[frozenset[str], frozenset[str]]()  # one for all points
    for point in points:
        try:
            changed = base.replace(**point).differences(base)
            if "given" in changed:
                changed["given"] = given.setdefault(changed["given"], changed["given"])
            made.append(changed)
        except RecipeError as error:
            refused.append((point, str(error)))
    refuse(refused, len(points))
    return made


def refuse(refused: Sequence[tuple[Point, str]], of: int) -> None:
    """Raise RecipeError for combinations that cannot be trained, if there are any."""
    if not refused:
        return
    lines = [f"{shown(point) or 'the recipe'}: {why}" for point, why in refused[:_MOST_SHOWN]]
    if len(refused) > _MOST_SHOWN:
        lines.append(f"and {len(refused) - _MOST_SHOWN} more")
    raise RecipeError(
        f"{len(refused)} of {of} combinations cannot be trained, and none was: "
        + "\n  ".join(["", *lines])
    )


def shown(point: Mapping[str, Any]) -> str:
    """A point in a line: lr=0.1, hidden=64,64."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in point.items())


def value_text(value: Any) -> str:
    """A value of a setting, as it is written on a command line."""
    if isinstance(value, tuple):
        return ",".join(map(value_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _dimension(name: str, given: Any) -> Distribution | str:
    """Where a setting's values come from, or what is wrong with what was given."""
    setting = SETTINGS[name]
    if name in _NOT_SWEPT:
        return f"{name} cannot vary in a sweep: {_NOT_SWEPT[name]}"
    if not setting.affects_result:
        return f"{name} cannot vary in a sweep: it changes no result"
    if isinstance(given, Mapping) and len(given) == 1 and not setting.values.holds(given):
        ((function, arguments),) = given.items()  # as `to_json` writes it
        given = distribution_called(str(function), arguments)
    made: Distribution
    if isinstance(given, (Choice, Between)):
        made = Choice(tuple(map(plain, given.values))) if isinstance(given, Choice) else given
    elif isinstance(given, (str, Mapping)) or not isinstance(plain(given), tuple):
        return f"{name} takes a list of values, but is {given!r:.60}: write [{given!r:.60}]"
    else:
        made = Choice(plain(given, levels=4))
    if not made.ends:
        return f"{name} has an empty list of values"
    values = setting.values
    wrong = [value for value in made.ends if not values.holds(value)]
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return f"{name} must be {values.expected}, but is {wrong[0]!r:.60}{more}"
    if isinstance(made, Choice) and (twice := _twice(made.values)):
        return f"{name} has the value {twice[0]!r:.60} twice: its runs would be the same"
    if isinstance(made, Between) and not made.whole and not values.holds(made.at(0.123)):
        return f"{name} takes whole numbers: give it integers({made.low:g}, {made.high:g})"
    return made


def _values_of(name: str, text: str) -> Any:
    """The values of a setting on a command line. Raises RecipeError if they cannot be read."""
    call = re.fullmatch(r"\s*(\w+)\((.*)\)\s*", text)
    if call:
        return distribution_called(call[1], [_number(part) for part in call[2].split(",")])
    values = SETTINGS[name].values
    listed = "," in values.metavar  # its values are lists themselves
    parts = text.split(";" if ";" in text or listed else ",")
    return [_value_of(name, part.strip()) for part in parts if part.strip() or not listed]


def _value_of(name: str, text: str) -> Any:
    values = SETTINGS[name].values
    if values.holds(None) and text.lower() == "none":
        return None
    if values.switch:
        known = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
        if text.lower() in known:
            return known[text.lower()]
    else:
        try:
            return values.parse(text)
        except ValueError:
            pass
    raise RecipeError(f"{name} must be {values.expected}, but is {text!r}")


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _twice(values: Sequence[Any]) -> list[Any]:
    """Those that stand in front of them already."""
    seen, found = set[Any](), list[Any]()
    for value in values:
        key = repr(value) if isinstance(value, dict) else value
        if key in seen:
            found.append(value)
        seen.add(key)
    return found
