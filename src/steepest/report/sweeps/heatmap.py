"""Heatmap of two settings: the mean of the metric in each cell, and of how many runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from numpy.typing import NDArray

from steepest.errors import RunError
from steepest.report.axes import is_dark, new_axes, text_colour
from steepest.report.sweeps.scales import Scale, bounds, require_varied, scale_of, varied
from steepest.sweeps import Sweep
from steepest.sweeps.metrics import Metric
from steepest.sweeps.space import value_text
from steepest.sweeps.summary import is_sound, require_values

_MOST_VALUES = 12  # of a list; more, and numbers between two, are put into bins
_BINS = 8
_MOST_CELLS_WITH_NUMBERS = 100


def plot_heatmap(
    sweep: Sweep,
    x: str | None = None,
    y: str | None = None,
    metric: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The mean of the metric by two settings, over all others and the seeds.

    A cell shows its mean and of how many runs it is; light is better on a dark background, and dark
    on a light one. Means that are three times as far from the best as the median is, and farther,
    share the worst colour. Cells without a run are hatched; those whose runs all broke or were
    pruned say so. Numbers between two are put into bins, evenly spread as they were drawn.

    Args:
        sweep: The sweep.
        x: The setting across; None for the first that varied.
        y: The setting up; None for the next one.
        metric: Which column of `results`; None for the sweep's.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.

    Raises:
        RunError: One of them did not vary, or no run reached its end.
    """
    cells = heatmap_cells(sweep, x, y, metric)
    ax = new_axes(
        ax, (2.4 + 0.62 * max(len(cells.columns), 3), 1.5 + 0.45 * max(len(cells.rows), 4))
    )
    _draw(ax, cells)
    for axis, labels, name in ((ax.xaxis, cells.columns, cells.x), (ax.yaxis, cells.rows, cells.y)):
        shown = [label.replace("$", r"\$") for label in labels]
        axis.set_ticks(range(len(labels)), shown, fontsize="small")
        axis.set_label_text(name)
    if max(map(len, cells.columns)) * len(cells.columns) > 60:
        ax.tick_params(axis="x", rotation=45)
        for label in ax.get_xticklabels():
            label.set_horizontalalignment("right")
    return ax


@dataclass(frozen=True, eq=False)
class HeatmapCells:
    """The numbers of a heatmap: rows upwards, columns to the right.

    Attributes:
        x: What lies across: a setting, and in how many bins where it is put into some.
        y: Likewise up.
        columns: What stands below each column.
        rows: What stands beside each row.
        means: Of the metric, (rows, columns); NaN where no run has a value.
        counts: Of how many runs each is the mean.
        runs: How many have ended in each.
        low: The least value that has a colour of its own.
        high: The greatest.
        metric: What the means are of.
    """

    x: str
    y: str
    columns: list[str]
    rows: list[str]
    means: NDArray[np.float64]
    counts: NDArray[np.int64]
    runs: NDArray[np.int64]
    low: float
    high: float
    metric: Metric


def heatmap_cells(
    sweep: Sweep, x: str | None = None, y: str | None = None, metric: str | None = None
) -> HeatmapCells:
    """The numbers that `plot_heatmap` draws; arguments and errors are those."""
    by = Metric.of(metric or sweep.metric)
    require_values(sweep.results, by)
    across, up = (_cells_of(sweep, name) for name in _two(sweep, x, y))
    means, counts, runs = _means(sweep, by, across, up)
    low, high = bounds(means[np.isfinite(means)], by.falls)
    return HeatmapCells(
        across.name, up.name, across.labels, up.labels, means, counts, runs, low, high, by
    )


def _two(sweep: Sweep, x: str | None, y: str | None) -> tuple[str, str]:
    """The two settings that are meant."""
    names = varied(sweep)
    for name in (x, y):
        if name is not None:
            require_varied(sweep, name)
    left = [name for name in names if name not in (x, y)]
    first = x or (left.pop(0) if left else None)
    second = y or (left.pop(0) if left else None)
    if first is None or second is None or first == second:
        if len(names) > 1:
            raise RunError(f"a heatmap needs two different settings, but was given {first} twice")
        raise RunError(
            "a heatmap needs two settings that vary, and in this sweep "
            f"{names[0] if names else 'none'} did: plot('curves') shows each of its trials"
        )
    return first, second


class _Cells:
    """The values of a setting, or bins of them. index: of each trial."""

    def __init__(self, name: str, labels: list[str], index: NDArray[np.int64]) -> None:
        self.name, self.labels, self.index = name, labels, index


def _cells_of(sweep: Sweep, name: str) -> _Cells:
    scale = scale_of(sweep, name)
    tried = [trial[name] for trial in sweep.trials]
    if len(scale.values) <= _MOST_VALUES:
        labels = [_label(value) for value in scale.values]
        places = {repr(value): i for i, value in enumerate(scale.values)}
        return _Cells(name, labels, np.array([places[repr(value)] for value in tried]))
    if not isinstance(scale.values[0], (int, float)):
        raise RunError(f"{name} has {len(scale.values)} values that are no numbers: too many cells")
    index = np.minimum((scale.of(tried) * _BINS).astype(np.int64), _BINS - 1)
    return _Cells(f"{name}, in {_BINS} bins", _edges(scale), index)


def _label(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= 14 else f"{text[:7]}…{text[-6:]}"


def _edges(scale: Scale) -> list[str]:
    """Each bin by its middle."""
    low, high = float(scale.values[0]), float(scale.values[-1])
    middles = (np.arange(_BINS) + 0.5) / _BINS
    if scale.log:
        return [f"{low * (high / low) ** float(m):.2g}" for m in middles]
    return [f"{low + (high - low) * float(m):.3g}" for m in middles]


def _means(
    sweep: Sweep, by: Metric, across: _Cells, up: _Cells
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The mean of each cell, of how many runs with a value it is, and how many have ended."""
    shape = (len(up.labels), len(across.labels))
    ended = sweep.results.filter(pl.col("status").is_not_null())
    of_run = ended["trial"].to_numpy()
    where = (up.index[of_run], across.index[of_run])
    sound = ended.select(is_sound(by)).to_series().to_numpy()
    values = ended[by.name].to_numpy().astype(np.float64)
    sums, counts, runs = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    np.add.at(runs, where, 1)
    np.add.at(counts, (where[0][sound], where[1][sound]), 1)
    np.add.at(sums, (where[0][sound], where[1][sound]), values[sound])
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan), counts, runs


def _draw(ax: Axes, cells: HeatmapCells) -> None:
    means, counts, runs, by = cells.means, cells.counts, cells.runs, cells.metric
    low, high, known = cells.low, cells.high, means[np.isfinite(means)]
    extend = "max" if high < known.max() else "min" if low > known.min() else "neither"
    # Far from the background is good, so that the eye finds it: cividis ends dark blue and yellow.
    colours = "cividis" if by.falls != is_dark(ax) else "cividis_r"
    image = ax.pcolormesh(
        np.arange(means.shape[1] + 1) - 0.5, np.arange(means.shape[0] + 1) - 0.5,
        np.ma.masked_invalid(means), cmap=colours, vmin=low, vmax=high,
        edgecolors=ax.get_facecolor(), lw=1.5,
    )  # fmt: skip
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(image, ax=ax, label=f"mean {by.name} (best on top)", extend=extend)
    if by.falls:
        bar.ax.invert_yaxis()  # the best is on top
    many = means.size > _MOST_CELLS_WITH_NUMBERS
    for (row, column), mean in np.ndenumerate(means):
        if np.isfinite(mean):
            if not many:
                red, green, blue, _ = image.to_rgba(np.asarray(mean))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                n, of = int(counts[row, column]), int(runs[row, column])
                count = f"{n} of {of}" if n < of else f"{n} run{'s' * (n != 1)}"
                words = f"{mean:.3g}\n{count}"
                ax.text(
                    column, row, words, ha="center", va="center", fontsize="x-small",
                    color="white" if dark else "black", linespacing=1.3,
                )  # fmt: skip
            continue
        ax.add_patch(_empty(column, row, bool(runs[row, column]), ax))
        if runs[row, column]:
            words = "none" if many else f"none of {runs[row, column]}"
            ax.text(
                column, row, words, ha="center", va="center", fontsize="x-small",
                color=text_colour(ax),
            )  # fmt: skip
    ax.set_xlim(-0.5, means.shape[1] - 0.5)
    ax.set_ylim(-0.5, means.shape[0] - 0.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)


def _empty(column: int, row: int, broke: bool, ax: Axes) -> Any:
    """The mark of a cell without a value: hatched where no run was, framed where all broke."""
    from matplotlib.patches import Rectangle

    return Rectangle(
        (column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="grey", lw=0.8,
        hatch=None if broke else "////", alpha=0.8,
    )  # fmt: skip
