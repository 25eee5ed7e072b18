"""Plots of what a classifier predicts: confusion, calibration, its most confident mistakes."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from steepest.classifier import Evaluation
from steepest.classifier.mistakes import Mistake, columns_of, picture
from steepest.report.axes import colours, new_axes, text_colour

_MOST_CLASSES_WITH_NUMBERS = 20


def plot_confusion(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Rows of each true class (down) by the class predicted for them (across).

    The shade is the share of the true class. Where rows may have several classes, each class is a
    line, with its true and false negatives and positives.

    Args:
        evaluation: Of `Run.evaluate`.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.
    """
    counts = np.array(evaluation.confusion)
    names = [_plain(score.name) for score in evaluation.classes]
    across = names
    if evaluation.multilabel:
        across = ["neither", "only predicted", "only true", "both"]
    side = 1.6 + 0.42 * min(len(names), 20)
    ax = new_axes(ax, (max(side, 3.6), max(side, 3.2)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    if len(names) <= _MOST_CLASSES_WITH_NUMBERS:
        for (i, j), n in np.ndenumerate(counts):
            shade = "black" if shares[i, j] > 0.55 else "white"
            ax.text(j, i, f"{n}", ha="center", va="center", fontsize="small", color=shade)
        turned = max(map(len, across)) > 3
        ax.set_xticks(
            range(len(across)),
            across,
            rotation=45 if turned else 0,
            ha="right" if turned else "center",
        )
        ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("class" if evaluation.multilabel else "true class")
    return ax


def plot_calibration(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """The reliability diagram: accuracy over confidence, in 15 bins.

    On the diagonal the classifier is as often right as it says; below it is too sure. The bars are
    the share of the rows in each bin.

    Args:
        evaluation: Of `Run.evaluate`.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.

    Source:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    ax = new_axes(ax)
    line, bars = colours(ax)[:2]
    confidence = [b.confidence for b in evaluation.calibration]
    accuracy = [b.accuracy for b in evaluation.calibration]
    total = sum(b.rows for b in evaluation.calibration)
    shares = [b.rows / total for b in evaluation.calibration]
    ax.plot([0, 1], [0, 1], color="grey", ls=":", label="calibrated")
    ax.bar(confidence, shares, width=0.04, color=bars, alpha=0.4, label="share of rows")
    error = evaluation.expected_calibration_error
    ax.plot(confidence, accuracy, "o-", ms=4, color=line, label=f"accuracy (ECE {error:.3f})")
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("confidence in the likeliest class")
    ax.set_ylabel("accuracy")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", loc="upper left")
    return ax


def plot_mistakes(mistakes: list[Mistake], ax: Axes | None = None) -> Axes:
    """The most confident mistakes: images beside each other, other rows as a table.

    Args:
        mistakes: Of `most_confident_mistakes`.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.
    """
    images = [picture(mistake.inputs) for mistake in mistakes]
    across = min(6, max(1, len(mistakes)))
    ax = new_axes(ax, (1.35 * across + 0.4, 1.75 * math.ceil(len(mistakes) / across) + 0.4))
    ax.set_axis_off()
    if not mistakes:
        ax.text(0.5, 0.5, "no mistakes", ha="center", va="center", color=text_colour(ax))
    elif all(image is not None for image in images):
        _draw_images(mistakes, [image for image in images if image is not None], across, ax)
    else:
        _draw_table(mistakes, ax)
    return ax


def _plain(name: str, most: int = 18) -> str:
    """A name as text: a dollar sign would begin a formula for matplotlib.

    A long one loses its middle: names often differ only at their ends.
    """
    head, tail = most // 2, (most - 1) // 2
    short = name if len(name) <= most else f"{name[:head]}…{name[-tail:]}"
    return short.replace("$", r"\$")


def _draw_images(
    mistakes: list[Mistake], images: list[NDArray[np.float64]], across: int, ax: Axes
) -> None:
    for i, (mistake, image) in enumerate(zip(mistakes, images, strict=True)):
        column, line = i % across, -(i // across) * 1.3
        grey: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} if image.ndim == 2 else {}
        ax.imshow(image, extent=(column, column + 0.94, line, line + 0.94), aspect="equal", **grey)
        words = f"{_plain(mistake.true, 10)} → {_plain(mistake.predicted, 10)}"
        ax.text(
            column + 0.47,
            line - 0.03,
            f"{words}\n{mistake.probability:.0%}",
            ha="center",
            va="top",
            fontsize="x-small",
            color=text_colour(ax),
        )
    ax.set_xlim(0, across)
    ax.set_ylim(-((len(mistakes) - 1) // across) * 1.3 - 0.35, 1)


def _draw_table(mistakes: list[Mistake], ax: Axes) -> None:
    head = ["row", "true", "predicted", "probability", *columns_of(mistakes[0].inputs)]
    cells = [
        [
            str(m.row),
            _plain(m.true),
            _plain(m.predicted),
            f"{m.probability:.1%}",
            *(_plain(value) for value in columns_of(m.inputs).values()),
        ]
        for m in mistakes
    ]
    table = ax.table(cells, colLabels=[_plain(name) for name in head], loc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(7)
    for cell in table.get_celld().values():
        cell.set_facecolor("none")
        cell.set_edgecolor("grey")
        cell.get_text().set_color(text_colour(ax))
