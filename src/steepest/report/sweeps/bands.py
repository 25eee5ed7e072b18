"""Curves of the best trials over the epochs: the mean over the seeds, and its interval."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from steepest.errors import RunError
from steepest.report.axes import DASHES, colours, new_axes
from steepest.report.sweeps.scales import label_of, varied
from steepest.sweeps import Sweep
from steepest.sweeps.metrics import Metric
from steepest.sweeps.statistics import mean_intervals
from steepest.sweeps.summary import ranking, require_values

_QUANTITIES = {
    "val_loss": "validation loss (nats)",
    "val_acc": "validation accuracy",
    "train_loss": "training loss (nats)",
    "train_acc": "training accuracy",
}
_MOST_OTHERS = 200
_FEWEST_SEEDS = 3  # the interval of two is several times as wide as all that is drawn
_LOG_FROM = 30.0
_FAR = 3.0  # times as far from the best as the median is: not seen whole
Float64Array = NDArray[np.float64]


def plot_sweep_curves(
    sweep: Sweep,
    quantity: str | None = None,
    *,
    best: int = 5,
    ax: Axes | None = None,
) -> Axes:
    """The course of the best trials: the mean over the seeds, and its 95 % interval as a band.

    Of fewer than 3 seeds there is no band: it would be wider than the picture. A curve goes as far
    as all its seeds do. Other trials are thin grey lines behind, at most 200, evenly spread over
    the ranks. The axis shows the best ones whole, but those that end three times as far from the
    first as their median does.

    Args:
        sweep: The sweep.
        quantity: val_loss, val_acc, train_loss or train_acc; None for what is next to the metric.
        best: So many trials are drawn in colour.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.

    Raises:
        RunError: No run reached its end; there is no such quantity, or it was not recorded.

    Source:
        The intervals are those of `steepest.sweeps.mean_interval`.
    """
    by = Metric.of(sweep.metric)
    require_values(sweep.results, by)
    quantity = _quantity(sweep, quantity)
    if not isinstance(best, int) or not 1 <= best <= len(DASHES):
        raise RunError(f"best must be 1 to {len(DASHES)} trials, but is {best!r:.40}")
    ranked = ranking(sweep.results, sweep.settings, by).filter(pl.col("mean").is_not_null())
    trials = ranked["trial"].to_list()
    others = trials[best :: max(1, -(-(len(trials) - best) // _MOST_OTHERS))]
    curves = _curves(sweep, quantity, [*trials[:best], *others])
    ax = new_axes(ax, (6.4, 4.9))
    _draw_others(ax, [curves[trial] for trial in others if trial in curves])
    settings, names = sweep.trials, varied(sweep)
    for i, trial in enumerate(trials[:best]):
        if trial in curves:
            label = label_of(settings[trial], names) or "the recipe"
            _draw(ax, curves[trial], i, label)
    _limits(ax, [curves[trial] for trial in trials[:best] if trial in curves], by.falls)
    ax.set_xlabel("epoch, from 0")
    ax.set_ylabel(f"{_QUANTITIES[quantity]}, mean over seeds")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    # Below: the settings of a trial are too long to stand between curves.
    ax.legend(
        fontsize="small", title=f"the best by {by.name}", title_fontsize="small", frameon=False,
        loc="upper left", bbox_to_anchor=(0, -0.14), alignment="left", borderaxespad=0,
    )  # fmt: skip
    return ax


def _quantity(sweep: Sweep, quantity: str | None) -> str:
    if quantity is None:
        what = "acc" if sweep.metric.endswith("acc") else "loss"
        held_out = sweep.results["best_epoch"].null_count() < sweep.results.height
        return f"{'val' if held_out else 'train'}_{what}"
    if quantity not in _QUANTITIES:
        raise RunError(
            f"curves are of {', '.join(_QUANTITIES)}, but {quantity!r:.40} was asked for"
        )
    if quantity.startswith("val") and sweep.results["best_epoch"].is_null().all():
        raise RunError(f"{quantity} was not recorded: the recipe keeps no validation part apart")
    return quantity


def _curves(sweep: Sweep, quantity: str, trials: list[int]) -> dict[int, Float64Array]:
    """(seeds, epochs) of each trial, as far as all its finished runs go."""
    runs = sweep.results.filter(
        (pl.col("status") == "finished") & pl.col("trial").is_in(trials)
    ).select("trial", "run")
    history = sweep.history().join(runs, on="run").sort("trial", "run", "epoch")
    found = {}
    for (trial,), table in history.group_by("trial", maintain_order=True):
        of_seeds = [
            np.asarray(v, np.float64)
            for v in table.group_by("run", maintain_order=True).agg(quantity)[quantity].to_list()
        ]
        length = min(map(len, of_seeds))
        found[int(str(trial))] = np.stack([values[:length] for values in of_seeds])
    return found


def _draw(ax: Axes, curve: Float64Array, place: int, label: str) -> None:
    palette = colours(ax)
    colour, style = palette[place % len(palette)], DASHES[place % len(DASHES)]
    epochs, mean = np.arange(curve.shape[1]), curve.mean(axis=0)
    seeds = f"{len(curve)} seed{'s' * (len(curve) > 1)}"
    ax.plot(epochs, mean, color=colour, ls=style, lw=1.8, label=f"{label} ({seeds})", zorder=4)
    if len(epochs) == 1:
        ax.plot(epochs, mean, "o", color=colour, zorder=4)
    if len(curve) >= _FEWEST_SEEDS:
        low, high = mean_intervals(np.ascontiguousarray(curve.T))
        ax.fill_between(epochs, low, high, color=colour, alpha=0.14, lw=0, zorder=3)


def _draw_others(ax: Axes, curves: list[Float64Array]) -> None:
    if not curves:
        return
    lines = [np.column_stack([np.arange(c.shape[1]), c.mean(axis=0)]) for c in curves]
    alpha = float(np.clip(20 / len(lines), 0.15, 0.6))
    ax.add_collection(LineCollection(lines, colors="grey", linewidths=0.8, alpha=alpha, zorder=2))
    ax.plot([], [], color="grey", lw=0.8, label=f"{len(lines)} others")


def _limits(ax: Axes, curves: list[Float64Array], falls: bool) -> None:
    """The best are seen whole, whatever the others do, and whatever a few of the best do."""
    ends = np.array([curve[:, -1].mean() for curve in curves]) * (1 if falls else -1)
    near = ends <= ends[0] + _FAR * max(0.0, float(np.median(ends)) - float(ends[0]))
    near[0] = True
    means = np.concatenate([c.mean(axis=0) for c, n in zip(curves, near, strict=True) if n])
    means = means[np.isfinite(means)]
    if not len(means):
        return
    low, high = float(means.min()), float(means.max())
    if low > 0 and high / low >= _LOG_FROM:
        ax.set_yscale("log")
        ax.set_ylim(low / 1.3, high * 1.3)
        return
    margin = 0.12 * (high - low) or 0.05 * abs(high) or 0.01
    ax.set_ylim(low - margin, high + margin)
