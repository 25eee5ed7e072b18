"""Plots over the time of a run: loss and accuracy, the gap between them, the learning rate."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from steepest.report.axes import colours, new_axes, save
from steepest.run import Run
from steepest.training import RangeTest

_QUANTITIES = {
    "loss": "cross entropy (nats)",
    "acc": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "calibrated_loss": "cross entropy at the best temperature (nats)",
}
_COLUMNS = {"loss": "val_loss", "accuracy": "val_acc"}


def best_epoch(history: pl.DataFrame, best_by: str = "loss") -> int | None:
    """The row of the best epoch.

    Args:
        history: `run.history`.
        best_by: What it is the best by, as in the recipe.

    Returns:
        The row, from 0; None without a validation loss that is a finite number, and where the
        history does not hold what it is the best by.
    """
    losses = history["val_loss"].to_numpy().astype(np.float64)  # no loss becomes NaN
    column = _COLUMNS.get(best_by, f"val_{best_by}")
    if column not in history.columns or not np.isfinite(losses).any():
        return None
    values = history[column].to_numpy().astype(np.float64)
    costs = -values if best_by in ("accuracy", "balanced_accuracy") else values
    costs = np.where(np.isfinite(losses) & ~np.isnan(costs), costs, np.inf)
    return int(np.nanargmin(np.where(costs == costs.min(), losses, np.inf)))  # of equal ones


def measured(history: pl.DataFrame) -> tuple[str, ...]:
    """What `plot_curves` can draw of a history: loss, acc, and what best_by had measured."""
    return tuple(name for name in _QUANTITIES if f"val_{name}" in history.columns)


def plot_curves(
    history: pl.DataFrame, quantity: str = "loss", ax: Axes | None = None, best_by: str = "loss"
) -> Axes:
    """Training and validation curve of one quantity over the epochs, and the best epoch.

    The training curve is the mean over each epoch's minibatches, so it lags half an epoch behind
    the validation curve.

    Args:
        history: `run.history`.
        quantity: "loss" (nats), "acc", or what best_by had measured on the validation part alone:
            "balanced_accuracy" or "calibrated_loss" (nats).
        ax: Where it is drawn; None for a new figure.
        best_by: What the best epoch is the best by, as in the recipe.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.
    """
    ax = new_axes(ax)
    train, validation = colours(ax)[:2]
    epochs = history["epoch"]
    if f"train_{quantity}" in history.columns:
        ax.plot(epochs, history[f"train_{quantity}"], "o-", ms=3, color=train, label="train")
    if history[f"val_{quantity}"].null_count() < history.height:
        ax.plot(
            epochs, history[f"val_{quantity}"], "s--", ms=3, color=validation, label="validation"
        )
        _mark_best(history, ax, best_by)
    ax.set_ylabel(_QUANTITIES[quantity])
    return _over_epochs(ax)


def plot_gap(history: pl.DataFrame, ax: Axes | None = None, best_by: str = "loss") -> Axes:
    """How much larger the validation loss is than the training loss, over the epochs.

    A gap that grows while the training loss falls is overfitting.

    Args:
        history: `run.history`, of a run with a validation part.
        ax: Where it is drawn; None for a new figure.
        best_by: What the best epoch is the best by, as in the recipe.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.
    """
    ax = new_axes(ax)
    gap = (history["val_loss"] - history["train_loss"]).to_numpy().astype(np.float64)
    epochs = history["epoch"].to_numpy()
    colour = colours(ax)[1]
    ax.plot(epochs, gap, "s--", ms=3, color=colour, label="validation - train")
    ax.fill_between(epochs, 0, gap, color=colour, alpha=0.2, lw=0)
    ax.axhline(0, color="grey", lw=1)
    _mark_best(history, ax, best_by)
    ax.set_ylabel("gap of the loss (nats)")
    return _over_epochs(ax)


def plot_learning_rate(intervals: pl.DataFrame, ax: Axes | None = None) -> Axes:
    """The learning rate over the steps.

    Args:
        intervals: `run.intervals`.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.
    """
    ax = new_axes(ax)
    ax.plot(intervals["step"], intervals["lr"], color=colours(ax)[0], marker=".", ms=3)
    ax.set_xlabel("step")
    ax.set_ylabel("learning rate")
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    return ax


def plot_range_test(test: RangeTest, ax: Axes | None = None) -> Axes:
    """The loss of each minibatch over the learning rate, its smoothed curve, the suggestion.

    Args:
        test: Of `find_lr`.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.
    """
    ax = new_axes(ax, (6, 3.6))
    curve, line = colours(ax)[:2]
    ax.plot(test.rates, test.losses, ".", color="grey", alpha=0.5, label="minibatch")
    ax.plot(test.rates, test.smoothed, color=curve, label="smoothed")
    ax.axvline(test.suggestion, ls="--", color=line, label=f"suggestion {test.suggestion:g}")
    ax.set_xscale("log")
    ax.set_ylim(0, 1.1 * max(test.smoothed))
    ax.set_xlabel("learning rate")
    ax.set_ylabel("cross entropy (nats)")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def save_curves(run: Run, path: str | Path) -> Path:
    """Loss and accuracy side by side in a picture file, and what best_by had measured.

    Args:
        run: A trained run.
        path: Its ending says the format, as .png or .svg.

    Returns:
        The path.
    """
    history = run.history
    quantities = measured(history)
    figure = Figure(figsize=(4.5 * len(quantities), 3.6), layout="constrained")
    for ax, quantity in zip(figure.subplots(1, len(quantities)), quantities, strict=True):
        plot_curves(history, quantity, ax, run.recipe.best_by)
    return save(figure.axes[0], path)


def save_range_test(test: RangeTest, path: str | Path) -> Path:
    """The curve of a range test in a picture file.

    Args:
        test: Of `find_lr`.
        path: Its ending says the format, as .png or .svg.

    Returns:
        The path.
    """
    return save(plot_range_test(test), path)


def _mark_best(history: pl.DataFrame, ax: Axes, best_by: str) -> None:
    best = best_epoch(history, best_by)
    if best is not None:
        epoch = int(history["epoch"][best])
        ax.axvline(epoch, color="grey", ls=":", lw=1.2, label=f"best epoch {epoch}")


def _over_epochs(ax: Axes) -> Axes:
    ax.set_xlabel("epoch, from 0")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    return ax
