"""Where a sweep takes the values of a setting from: a list, or a distribution.

Each turns a number u in [0, 1) into a value by its quantile function, so that random and
quasi-random points serve all of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from steepest.errors import RecipeError


class Distribution(Protocol):
    """Values of a setting."""

    def at(self, u: float) -> Any:
        """The value below which a share u of them lies."""
        ...

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that must all be allowed: the lowest and the highest, or every one."""
        ...

    def to_json(self) -> Any:
        """As plain data, from which `from_json` makes it again."""
        ...


@dataclass(frozen=True)
class Choice:
    """Some values, all as likely."""

    values: tuple[Any, ...]

    def at(self, u: float) -> Any:
        """The value below which a share u of them lies."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    @property
    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    def to_json(self) -> Any:
        """A list."""
        return list(self.values)


@dataclass(frozen=True)
class Between:
    """Numbers between two, evenly spread, or evenly by their logarithms.

    Attributes:
        low: The lowest.
        high: The highest.
        log: Whether the logarithms are evenly spread.
        whole: Whether they are whole numbers, both ends included.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, u: float) -> Any:
        """The value below which a share u of them lies."""
        # Half a number beyond each end, so that the ends are as likely as the others.
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            value = low + u * (high - low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else value

    @property
    def ends(self) -> tuple[Any, ...]:
        """The lowest and the highest."""
        return (self.low, self.high)

    def to_json(self) -> Any:
        """A table of the name of the function that makes it, and its arguments."""
        name = "integers" if self.whole else "log_uniform" if self.log else "uniform"
        ends: list[Any] = [self.low, self.high]
        return {name: [*ends, True] if self.whole and self.log else ends}


def uniform(low: float, high: float) -> Between:
    """Numbers between two, evenly spread.

    Args:
        low: The lowest.
        high: The highest.

    Raises:
        RecipeError: They are not two finite numbers, the lower first.
    """
    _require_order("uniform", low, high)
    return Between(float(low), float(high))


def log_uniform(low: float, high: float) -> Between:
    """Numbers between two whose logarithms are evenly spread: for learning rates and penalties.

    Args:
        low: The lowest, above 0.
        high: The highest.

    Raises:
        RecipeError: They are not two finite numbers above 0, the lower first.
    """
    _require_order("log_uniform", low, high, above=0)
    return Between(float(low), float(high), log=True)


def integers(low: int, high: int, log: bool = False) -> Between:
    """Whole numbers between two, both included.

    Args:
        low: The lowest.
        high: The highest.
        log: Whether their logarithms are evenly spread, as for batch sizes and widths.

    Raises:
        RecipeError: They are not two whole numbers, the lower first.
    """
    _require_order("integers", low, high, above=0.5 if log else None)
    if low != int(low) or high != int(high):
        raise RecipeError(f"integers takes two whole numbers, but was given {low} and {high}")
    return Between(int(low), int(high), log=bool(log), whole=True)


def choice(values: Sequence[Any]) -> Choice:
    """Some values, all as likely; the same as their list.

    Args:
        values: One or more.

    Raises:
        RecipeError: There are none.
    """
    if isinstance(values, str) or not len(values):
        raise RecipeError(f"choice takes a list of values, but was given {values!r:.60}")
    return Choice(tuple(values))


_FUNCTIONS = {"uniform": uniform, "log_uniform": log_uniform, "integers": integers}


def distribution_called(name: str, arguments: Sequence[Any]) -> Between:
    """What `uniform`, `log_uniform` or `integers` gives. Raises RecipeError for anything else."""
    if name not in _FUNCTIONS or not 2 <= len(arguments) <= 3:
        raise RecipeError(
            f"{name}({', '.join(map(str, arguments))}) is no distribution: they are "
            + ", ".join(f"{known}(LOW, HIGH)" for known in _FUNCTIONS)
        )
    function: Any = _FUNCTIONS[name]
    made: Between = function(*arguments)
    return made


def _require_order(name: str, low: Any, high: Any, above: float | None = None) -> None:
    numbers = all(isinstance(end, (int, float)) and math.isfinite(end) for end in (low, high))
    if not numbers or not low < high or (above is not None and low <= above):
        lowest = "" if above is None else f" above {above:g}"
        raise RecipeError(
            f"{name} takes two numbers{lowest}, the lower first, but was given {low!r:.40} and "
            f"{high!r:.40}"
        )
