"""Scale: where the values of a setting, or of the metric, lie on an axis, and what stands there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import RunError, did_you_mean
from steepest.sweeps import Space, Sweep
from steepest.sweeps.distributions import Choice
from steepest.sweeps.points import as_setting
from steepest.sweeps.space import value_text

_LOG_FROM = 30.0  # the greatest over the least value, from which logarithms are evenly spread
_MOST_TICKS = 6
_FAR = 3.0
_INSET = 0.06  # of names, around which lines fan out
_LONGEST = 16
Float64Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scale:
    """An axis from 0 to 1.

    Attributes:
        name: Of the setting.
        values: Different ones, in their order; of numbers between two all that were tried.
        places: Of each of these.
        ticks: (place, text).
        log: Whether logarithms are evenly spread.
    """

    name: str
    values: tuple[Any, ...]
    places: Float64Array
    ticks: tuple[tuple[float, str], ...]
    log: bool

    def of(self, values: Sequence[Any]) -> Float64Array:
        """The places of some."""
        keys = _keys(self.values)
        return self.places[[keys[repr(value)] for value in values]]


def _keys(values: Sequence[Any]) -> dict[str, int]:
    return {repr(value): i for i, value in enumerate(values)}


def varied(sweep: Sweep) -> list[str]:
    """The settings that have more than one value among the trials."""
    trials = sweep.trials
    return [name for name in sweep.settings if len({repr(t[name]) for t in trials}) > 1]


def require_varied(sweep: Sweep, name: str) -> None:
    """Raise RunError if a setting did not vary."""
    names = varied(sweep)
    if name in names:
        return
    if name in sweep.settings:
        value = value_text(sweep.trials[0][name])
        why = f"{name} has one value in this sweep, {value}"
    else:
        why = f"{name!r:.40} did not vary in this sweep{did_you_mean(str(name), names)}"
    raise RunError(f"{why}; settings that did: {', '.join(names) or 'none'}")


def scale_of(sweep: Sweep, name: str) -> Scale:
    """The axis of a setting that varied. Raises RunError if it did not."""
    require_varied(sweep, name)
    tried = [trial[name] for trial in sweep.trials]
    source = sweep.info["space"][name]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in tried)
    listed = isinstance(source, list)
    if not numbers:
        order = [as_setting(value) for value in source] if listed else []
        known = [v for v in order if repr(v) in _keys(tried)]
        rest = [v for v in dict.fromkeys(tried) if repr(v) not in _keys(known)]
        values: tuple[Any, ...] = (*known, *rest)
        places = np.linspace(_INSET, 1 - _INSET, len(values))
        ticks = [(p, _short(value_text(v))) for p, v in zip(places, values, strict=True)]
        return Scale(name, values, places, _thinned(ticks), log=False)
    values = tuple(sorted(set(tried)))
    drawn = Space.of({name: source}).dimensions[name]
    wide = values[0] > 0 and values[-1] / values[0] >= _LOG_FROM
    log = wide if isinstance(drawn, Choice) else bool(getattr(drawn, "log", False))
    return numeric(name, values, log, listed)


def numeric(name: str, values: Sequence[float], log: bool, listed: bool) -> Scale:
    """The axis of numbers in their order; at least two of them differ."""
    array = np.asarray(values, np.float64)
    shown = np.log10(array) if log else array
    low, high = float(shown[0]), float(shown[-1])
    places = (shown - low) / ((high - low) or 1.0)
    if listed and len(values) <= _MOST_TICKS:
        ticks = [(float(p), f"{v:g}") for p, v in zip(places, values, strict=True)]
    else:
        ticks = [
            ((t - low) / ((high - low) or 1.0), f"{10**t if log else t:.4g}")
            for t in _round_numbers(low, high, log)
        ]
    return Scale(name, tuple(values), places, _apart(ticks), log)


def _round_numbers(low: float, high: float, log: bool) -> list[float]:
    """Some round numbers between two (powers of ten, if these are logarithms), or the two."""
    if log:
        step = max(1, math.ceil((high - low) / _MOST_TICKS))
        powers = range(math.floor(low), math.ceil(high) + 1, step)
        digits = (1,) if high - low >= 2 else (1, 2, 5)
        found = [t for p in powers for d in digits if low <= (t := p + math.log10(d)) <= high]
    else:
        from matplotlib.ticker import MaxNLocator

        found = [
            float(t) for t in MaxNLocator(_MOST_TICKS - 1).tick_values(low, high)
            if low <= t <= high
        ]  # fmt: skip
    return found if len(found) > 1 else [low, high]


def _apart(ticks: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Those that stand far enough from the one before to be read."""
    kept: list[tuple[float, str]] = []
    for place, text in ticks:
        if not kept or place - kept[-1][0] > 0.045:
            kept.append((place, text))
    return tuple(kept)


def _thinned(ticks: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    return tuple(ticks[:: -(-len(ticks) // 20)])


def bounds(values: Float64Array, falls: bool) -> tuple[float, float]:
    """The least and the greatest of values that is told apart: one bad trial hides no difference.

    Beyond `_FAR` times as far from the best as the median is, values count as equally bad.
    """
    low, high, middle = float(values.min()), float(values.max()), float(np.median(values))
    if falls:
        limit = low + _FAR * (middle - low)
        return (low, limit) if low < limit < high else (low, high)
    limit = high - _FAR * (high - middle)
    return (limit, high) if low < limit < high else (low, high)


def label_of(settings: Mapping[str, Any], names: Sequence[str], longest: int = 58) -> str:
    """A trial in a legend: the settings that varied, numbers to three digits."""
    texts = []
    for name in names:
        value = settings[name]
        plain = f"{value:.3g}" if isinstance(value, float) else value_text(value)
        texts.append(f"{name}={plain}")
    text = ", ".join(texts)
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return short.replace("$", r"\$")


def _short(text: str) -> str:
    """A name that fits; a dollar sign would begin a formula for matplotlib."""
    short = text if len(text) <= _LONGEST else f"{text[:8]}…{text[-7:]}"
    return short.replace("$", r"\$")
