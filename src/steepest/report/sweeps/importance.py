"""Importance of settings as bars."""

import numpy as np
from matplotlib.axes import Axes

from steepest.report.axes import colours, new_axes, text_colour
from steepest.sweeps import Sweep

_MOST = 15


def plot_importance(sweep: Sweep, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """What share of the metric each setting decides: alone, and with its interactions.

    Args:
        sweep: The sweep.
        metric: Which column of `results`; None for the sweep's.
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.

    Raises:
        RunError: No setting varied, or too few runs have ended.
        MissingExtra: scikit-learn is not installed.

    Source:
        As `Sweep.importance`.
    """
    found = sweep.importance(metric)
    table = found.settings.head(_MOST)
    ax = new_axes(ax, (6.0, 1.5 + 0.36 * table.height))
    first, second, *_ = colours(ax)
    places = np.arange(table.height)[::-1]
    alone = np.minimum(table["alone"].to_numpy(), table["total"].to_numpy())
    total = table["total"].to_numpy()
    ax.barh(places, alone, height=0.62, color=first, label="alone")
    ax.barh(
        places, total - alone, left=alone, height=0.62, color="none", edgecolor=second,
        hatch="////", lw=1, label="with its interactions",
    )  # fmt: skip
    for place, share, whole in zip(places, alone, total, strict=True):
        words = _percent(share)
        words += f", {_percent(whole)} in all" if whole - share >= 0.02 else ""
        ax.text(whole + 0.012, place, words, va="center", fontsize="small", color=text_colour(ax))
    ax.set_yticks(places, table["setting"].to_list())
    ax.set_xlim(0, max(1.0, float(total.max())) * 1.22)
    ax.set_xticks(np.linspace(0, 1, 6), list(map(_percent, np.linspace(0, 1, 6))))
    ax.set_xlabel(
        f"share of what the settings decide about {metric or sweep.metric}\n"
        f"({found.runs} runs; settings explain {_percent(found.explained)} of how they differ)"
    )
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if (total - alone > 0.02).any():
        ax.legend(fontsize="small", loc="lower right")
    return ax


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
