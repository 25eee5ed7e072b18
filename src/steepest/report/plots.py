"""Plots of a run: each function takes Axes and gives them back."""

from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from steepest.run import Run
from steepest.training import RateTest

# Okabe and Ito's colours, which colour-blind people can tell apart.
TRAIN, VALIDATION = "#0072B2", "#D55E00"


def plot_curves(history: pl.DataFrame, quantity: str, ax: Axes) -> Axes:
    """Training and validation curve of one quantity over the epochs.

    history: `run.history`. quantity: "loss" or "acc". The training curve is the mean over each
    epoch's minibatches, so it lags half an epoch behind the validation curve.
    """
    epochs = history["epoch"] + 1
    ax.plot(epochs, history[f"train_{quantity}"], "o-", color=TRAIN, label="train")
    if history[f"val_{quantity}"].null_count() < history.height:
        ax.plot(epochs, history[f"val_{quantity}"], "s--", color=VALIDATION, label="validation")
    ax.set_xlabel("epochs done")
    ax.set_ylabel({"loss": "cross entropy (nats)", "acc": "accuracy"}[quantity])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def save_curves(run: Run, path: str | Path) -> Path:
    """Loss and accuracy side by side in a picture file; its ending says the format."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for ax, quantity in zip(figure.subplots(1, 2), ("loss", "acc"), strict=True):
        plot_curves(run.history, quantity, ax)
    figure.savefig(path, dpi=150)
    return Path(path)


def plot_rate_test(test: RateTest, ax: Axes) -> Axes:
    """The loss of each minibatch over the learning rate, its smoothed curve, the suggestion."""
    ax.plot(test.rates, test.losses, ".", color="grey", alpha=0.5, label="minibatch")
    ax.plot(test.rates, test.smoothed, color=TRAIN, label="smoothed")
    ax.axvline(test.suggestion, ls="--", color=VALIDATION, label=f"suggestion {test.suggestion:g}")
    ax.set_xscale("log")
    ax.set_ylim(0, 1.1 * max(test.smoothed))
    ax.set_xlabel("learning rate")
    ax.set_ylabel("cross entropy (nats)")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def save_rate_test(test: RateTest, path: str | Path) -> Path:
    """The curve of a range test in a picture file; its ending says the format."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    plot_rate_test(test, figure.subplots())
    figure.savefig(path, dpi=150)
    return Path(path)
