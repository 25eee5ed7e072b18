"""What values a setting takes: the test, in words, and how they are written on a command line."""

import json
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

# What a group of parameters may have of its own.
GROUP_SETTINGS = ("lr_scale", "weight_decay", "l1", "l2")
# How the widths of a net without hidden layers are written.
_LINEAR = "linear"


class Values(NamedTuple):
    """The values of a setting.

    holds: whether a value is one. expected: what it must be, for messages. parse: from the text of
    a command line; ValueError if the text cannot be read. metavar: what that text looks like.
    names: the values, where they are a few names. switch: whether it is true or false. moved: names
    that were values once, and how the same is said now.
    """

    holds: Callable[[Any], bool]
    expected: str
    parse: Callable[[str], Any]
    metavar: str
    names: tuple[str, ...] = ()
    switch: bool = False
    moved: Mapping[str, str] = MappingProxyType({})

    def now(self, value: object) -> str:
        """`; say task = 'multilabel'` for a name that is said in another way now, else nothing."""
        return (
            f"; say {self.moved[value]}" if isinstance(value, str) and value in self.moved else ""
        )

    def or_none(self) -> "Values":
        return self._replace(holds=lambda value: value is None or self.holds(value))


def one_of(names: tuple[str, ...], moved: Mapping[str, str] = MappingProxyType({})) -> Values:
    """One of a few names. moved: those that were one once, and how the same is said now."""
    expected = "one of " + ", ".join(names)
    return Values(lambda v: v in names, expected, str, "NAME", names, moved=moved)


def whole(least: int) -> Values:
    return Values(lambda v: is_int(v, least), f"a whole number of at least {least}", int, "N")


def numbers(holds: Callable[[tuple[Any, ...]], bool], expected: str) -> Values:
    """A few numbers that stand together."""
    return Values(lambda v: isinstance(v, tuple) and holds(v), expected, _floats, "X,X")


def whole_numbers(what: str) -> Values:
    """A list of whole numbers of at least 1. what: what they are, for messages."""
    return Values(
        lambda v: isinstance(v, tuple) and all(is_int(n, 1) for n in v),
        f"a list of {what} of at least 1",
        lambda text: () if text.strip() in ("", _LINEAR) else tuple(map(int, text.split(","))),
        "N,N",
    )


def written(value: Any) -> str:
    """A value that is not None as it is written on a command line, which `Values.parse` reads."""
    match value:
        case bool():
            return "on" if value else "off"
        case dict():
            return json.dumps(value)
        case ():
            return _LINEAR
        case tuple():
            return ",".join(map(str, value))
    return str(value)


def is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _floats(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _share_or_file(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _on_or_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError
    return text == "on"


def _weights_of_classes(text: str) -> Any:
    """balanced, numbers, or a table of class names and numbers in JSON."""
    if text.lstrip().startswith("{"):
        return json.loads(text)
    return text if text == "balanced" else _floats(text)


def _is_share_or_file(value: object) -> bool:
    return isinstance(value, str) or (is_number(value) and 0 <= value < 1)  # type: ignore[operator]


def _are_weights(values: Any) -> bool:
    return len(values) > 0 and all(is_number(value) and value >= 0 for value in values)


def _is_class_weight(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and _are_weights(value.values())
    return value == "balanced" or (isinstance(value, tuple) and _are_weights(value))


def _are_groups(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(pattern, str)
        and isinstance(own, dict)
        and all(name in GROUP_SETTINGS for name in own)
        and _are_weights(own.values())
        for pattern, own in value.items()
    )


TEXT = Values(lambda v: isinstance(v, str), "a string", str, "NAME").or_none()
SWITCH = Values(lambda v: isinstance(v, bool), "true or false", _on_or_off, "", switch=True)
POSITIVE = Values(lambda v: is_number(v) and v > 0, "a number above 0", float, "X")
AT_LEAST_0 = Values(lambda v: is_number(v) and v >= 0, "a number of at least 0", float, "X")
BELOW_1 = Values(
    lambda v: is_number(v) and 0 <= v < 1, "a number of at least 0 and below 1", float, "X"
)
FACTOR = Values(lambda v: is_number(v) and 0 < v <= 1, "a number above 0 and at most 1", float, "X")
PART = Values(
    _is_share_or_file,
    "a share of at least 0 and below 1, or the path of a file",
    _share_or_file,
    "SHARE|FILE",
)
NAMES = Values(
    lambda v: isinstance(v, tuple) and all(isinstance(name, str) for name in v),
    "a list of column names",
    lambda text: tuple(map(str.strip, text.split(","))),
    "A,B",
)
INTERVAL = numbers(
    lambda v: len(v) == 2 and all(map(is_number, v)) and v[0] < v[1],
    "two numbers, the lower first",
)
DECAYS = numbers(
    lambda v: len(v) == 2 and all(map(BELOW_1.holds, v)),
    "two numbers of at least 0 and below 1",
)
RATE = Values(
    lambda v: v == "auto" or POSITIVE.holds(v),
    "a number above 0, or 'auto'",
    lambda text: text if text == "auto" else float(text),
    "X|auto",
)
BATCH = Values(
    lambda v: v == "full" or is_int(v, 1),
    "a whole number of at least 1, or 'full'",
    lambda text: text if text == "full" else int(text),
    "N|full",
)
STEPS_OR_SHARE = Values(
    lambda v: BELOW_1.holds(v) or is_int(v, 1),
    "a whole number of steps, or a share of at least 0 and below 1",
    lambda text: int(text) if text.isdigit() else float(text),
    "N|SHARE",
)
SEED = Values(lambda v: is_int(v, 0) and v < 2**63, "a whole number from 0 to 2**63 - 1", int, "N")
CLASS_WEIGHT = Values(
    _is_class_weight,
    "'balanced', a list of numbers of at least 0, or a table of class names and numbers",
    _weights_of_classes,
    "X,X|JSON",
)
GROUPS_OF_PARAMETERS = Values(
    _are_groups,
    "a table of patterns with numbers of at least 0 for " + ", ".join(GROUP_SETTINGS),
    json.loads,
    "JSON",
)
