"""Parallel coordinates: each trial a line through its settings to the metric."""

from dataclasses import replace

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from steepest.errors import RunError
from steepest.report.axes import colours, new_axes, text_colour
from steepest.report.sweeps.scales import Scale, bounds, numeric, scale_of, varied
from steepest.sweeps import Sweep
from steepest.sweeps.metrics import Metric
from steepest.sweeps.summary import ranking, require_values

_BEST_SHARE, _MOST_BEST, _MOST_OTHERS = 0.1, 50, 1000
# Lines through one of a few values fan out around it, by the metric, so that they are told apart.
_FAN, _MOST_FANNED = 0.5, 12
_VECTORS = 500  # more lines than this are drawn as one image within the picture
_BELOW = -0.13  # where trials without a value end

Float64Array = NDArray[np.float64]


def plot_parallel(sweep: Sweep, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Parallel coordinates: a line for each trial through its settings to its mean metric.

    The best trial and the best tenth (at most 50) are drawn in colour, over others in grey (at most
    1,000, evenly spread over the ranks); on the last axis the best is on top. Trials without a
    value, because a run of them broke or was pruned, are dotted lines that end below. Lines through
    the same value of a list fan out around it. Means that are three times as far from the best as
    the median is, and farther, end at one point.

    Args:
        sweep: The sweep.
        metric: Which column of `results`; None for the sweep's.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.

    Raises:
        RunError: No run reached its end, or no setting varied.

    Source:
        Inselberg, "The plane with parallel coordinates", The Visual Computer 1985.
    """
    by = Metric.of(metric or sweep.metric)
    require_values(sweep.results, by)
    scales = [scale_of(sweep, name) for name in varied(sweep)]
    if not scales:
        raise RunError("no setting of this sweep varied: plot('curves') shows its one trial")
    ax = new_axes(ax, (max(5.0, 1.5 * (len(scales) + 1) + 1.5), 4.0))
    table = ranking(sweep.results, sweep.settings, by)
    values = table["mean"].to_numpy().astype(np.float64)
    values = np.where(table["complete"].to_numpy(), values, np.nan)
    trials = sweep.trials
    lines = np.stack(
        [_places(scale, [trials[t][scale.name] for t in table["trial"]]) for scale in scales],
        axis=1,
    )
    ends, last = _ends(values, by)
    _draw(ax, np.column_stack([lines, ends]), np.isfinite(values))
    _axes_of(ax, [*scales, last], by, table, bool(np.isnan(values).any()))
    return ax


def _places(scale: Scale, values: list[object]) -> Float64Array:
    """Where lines pass an axis. values: by rank, the best first."""
    places = scale.of(values)
    if len(scale.values) > _MOST_FANNED:
        return places
    gap = float(np.diff(np.sort(scale.places)).min()) if len(scale.places) > 1 else 1.0
    for place in scale.places:
        here = np.flatnonzero(places == place)
        if len(here) > 1:
            width = min(_FAN * gap, 0.14) * min(1.0, len(here) / 8)
            places[here] = place + width * (0.5 - np.arange(len(here)) / (len(here) - 1))
    return places


def _ends(values: Float64Array, by: Metric) -> tuple[Float64Array, Scale]:
    """Where lines end on the axis of the metric, the best on top, and that axis."""
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.zeros(1)
    low, high = bounds(known, by.falls)
    clipped = np.clip(values, low, high)
    scale = numeric(by.name, np.unique(np.clip(known, low, high)).tolist(), False, listed=False)
    worst = high if by.falls else low
    if worst != (known.max() if by.falls else known.min()):  # others are beyond it
        near = [(place, text) for place, text in scale.ticks if abs(place - by.falls) > 0.06]
        scale = replace(scale, ticks=(*near, (float(by.falls), f"{worst:.3g} or worse")))
    places = np.full(len(values), _BELOW)
    places[finite] = scale.of(clipped[finite].tolist())
    if low == high:
        places[finite] = 0.5
    if by.falls:
        places[finite] = 1 - places[finite]
    return places, scale


def _draw(ax: Axes, lines: Float64Array, sound: NDArray[np.bool_]) -> None:
    """Lines in the order of their rank, the best last so that it lies on top."""
    first, second, *_ = colours(ax)
    x = np.arange(lines.shape[1])
    paths = [np.column_stack([x, line]) for line in lines]
    good = int(sound.sum())
    top = min(_MOST_BEST, max(2, round(_BEST_SHARE * good))) if good > 5 else 1
    best = range(1, min(top, good))
    others = _some(range(min(top, good), good))
    broken = _some(range(good, len(paths)))
    faint = float(np.clip(60 / max(len(others), 1), 0.08, 0.7))
    for places, colour, width, alpha, style, order in (
        (others, "grey", 0.9, faint, "-", 1),
        (broken, "grey", 0.9, max(faint, 0.25), ":", 1),
        (list(best), first, 1.1, float(np.clip(25 / max(len(best), 1), 0.15, 0.9)), "-", 2),
        ([0] if good else [], second, 2.6, 1.0, "-", 3),
    ):
        some = [paths[i] for i in places]
        if some:
            ax.add_collection(
                LineCollection(
                    some, colors=colour, linewidths=width, alpha=alpha, linestyles=style,
                    zorder=order, rasterized=len(some) > _VECTORS,
                )
            )  # fmt: skip
    handles = [ax.plot([], [], color=second, lw=2.6, label="best")[0]] if good else []
    if best:
        handles += ax.plot([], [], color=first, label=f"next {len(best)}")
    if others:
        words = _of(len(others), good - min(top, good), "other")
        handles += ax.plot([], [], color="grey", label=words)
    if broken:
        words = f"{_of(len(broken), len(paths) - good, '')}without a value"
        handles += ax.plot([], [], color="grey", ls=":", label=words)
    ax.legend(
        handles=handles, fontsize="small", ncols=len(handles), loc="upper center", frameon=False,
        bbox_to_anchor=(0.5, -0.02),
    )  # fmt: skip


def _some(places: range) -> list[int]:
    """At most so many of them, evenly spread."""
    return list(places[:: -(-len(places) // _MOST_OTHERS) or 1])


def _of(drawn: int, of: int, word: str) -> str:
    words = f" {word}{'s' * (of != 1)}" if word else " "
    return f"{of:,}{words}" if drawn == of else f"{drawn:,} of {of:,}{words}"


def _axes_of(ax: Axes, scales: list[Scale], by: Metric, table: pl.DataFrame, broken: bool) -> None:
    """A vertical line for each setting and the metric, with its ticks and its name."""
    colour = text_colour(ax)
    back = ax.get_facecolor()
    for x, scale in enumerate(scales):
        last = x == len(scales) - 1
        ax.plot([x, x], [0, 1], color=colour, lw=1, zorder=4)
        places = [(1 - p if last and by.falls else p, text) for p, text in scale.ticks]
        if last and len(scale.values) == 1:
            places = [(0.5, f"{scale.values[0]:.4g}")]
        if last and broken:
            places.append((_BELOW, "none"))
        for place, text in places:
            ax.plot([x - 0.02, x + 0.02], [place, place], color=colour, lw=1, zorder=4)
            ax.text(
                x + 0.04, place, text, va="center", fontsize="small", color=colour, zorder=5,
                bbox={"facecolor": back, "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
            )  # fmt: skip
        words = f"mean {by.name}\n(best on top)" if last else scale.name
        ax.text(
            x, 1.09, words + (" (log)" if scale.log and not last else ""), ha="center", va="bottom",
            color=colour,
        )  # fmt: skip
    ax.set_xlim(-0.25, len(scales) - 1 + 0.35)
    ax.set_ylim(_BELOW - 0.04 if broken else -0.09, 1.09)
    ax.set_axis_off()
