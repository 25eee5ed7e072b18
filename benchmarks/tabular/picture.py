"""The critical-difference plot of Demšar 2006."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tabular.ranks import Comparison, cliques, critical_difference


def draw(compared: Comparison, path: Path) -> None:
    """Mean ranks by log loss and by accuracy; bars join what the tables do not tell apart."""
    figure = Figure(figsize=(8, 2 * (1.4 + 0.24 * len(compared.methods))), layout="constrained")
    difference = critical_difference(len(compared.methods), len(compared.tables))
    for axes, measure in zip(figure.subplots(2), ("log_loss", "accuracy"), strict=True):
        ranks = compared.ranks(measure).mean(0)
        order = np.argsort(ranks)
        ordered = [float(ranks[i]) for i in order]
        for place, i in enumerate(order):
            axes.plot([ranks[i], ranks[i]], [0, -place - 1.5], color="0.7", lw=0.8, zorder=0)
            axes.plot(ranks[i], 0, "o", color="0.2", ms=4)
            name = f"{compared.methods[i]}  {ranks[i]:.2f}"
            white = {"facecolor": "w", "edgecolor": "none", "pad": 1}  # over the others' lines
            axes.text(ranks[i] + 0.06, -place - 1.5, name, va="center", fontsize=8, bbox=white)
        for level, (first, last) in enumerate(cliques(ordered, difference)):
            axes.plot([ordered[first], ordered[last]], [0.4 + 0.3 * level] * 2, color="k", lw=2.5)
        axes.set_title(
            f"Mean rank by {measure.replace('_', ' ')}, {len(compared.tables)} tables; "
            f"critical difference {difference:.2f}",
            fontsize=9,
        )
        axes.set_xlim(0.8, len(order) + 1.2)
        axes.set_yticks([])
        axes.spines[["left", "right", "top"]].set_visible(False)
    figure.savefig(path)
