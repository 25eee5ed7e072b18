"""Plots of what a run recorded of each layer."""

import polars as pl
from matplotlib.axes import Axes

from steepest.report.axes import DASHES, colours, new_axes

_QUANTITIES = {
    "weight_norm": "|W|",
    "gradient_norm": "|dL/dW|",
    "update_ratio": "|update| / |W|",
    "activation_mean": "mean activation",
    "activation_std": "spread of activations",
    "inactive": "share of inactive activations",
}
_ON_A_LOGARITHMIC_SCALE = ("weight_norm", "gradient_norm", "update_ratio")
# About a thousandth is what healthy runs with SGD have (Karpathy's notes to CS231n).
_USUAL_RATIO = 1e-3


def plot_layers(
    layers: pl.DataFrame, quantity: str = "update_ratio", ax: Axes | None = None
) -> Axes:
    """One quantity of each layer over the steps; of several nets the median, and their range.

    The grey band of update_ratio is about 0.001; a layer a hundred times above or below it learns
    badly.

    Args:
        layers: `run.layers`.
        quantity: weight_norm, gradient_norm, update_ratio, activation_mean, activation_std or
            inactive (see LayerStats).
        ax: Where it is drawn; None for a new figure.

    Returns:
        The Axes; `ax.figure` shows and saves the figure.

    Source:
        Karpathy, notes to Stanford's CS231n, "Neural Networks Part 3", "Ratio of weights:updates".
    """
    ax = new_axes(ax)
    palette = colours(ax)
    for i, name in enumerate(layers["name"].unique(maintain_order=True)):
        some = layers.filter(pl.col("name") == name)
        style = {"color": palette[i % len(palette)], "ls": DASHES[i // len(palette) % len(DASHES)]}
        if "net" in some.columns:
            of = pl.col(quantity)
            by_step = some.group_by("step", maintain_order=True)
            some = by_step.agg(of.median(), least=of.min(), most=of.max())
            shade = {"color": style["color"], "alpha": 0.15, "lw": 0}
            ax.fill_between(some["step"], some["least"], some["most"], **shade)
        ax.plot(some["step"], some[quantity], label=name, **style)
    # A logarithmic scale has no place for zeros alone, as of a net that does not move.
    if quantity in _ON_A_LOGARITHMIC_SCALE and (layers[quantity] > 0).any():
        ax.set_yscale("log")
    if quantity == "update_ratio":
        ax.axhline(_USUAL_RATIO, color="grey", lw=4, alpha=0.35, zorder=0)
    ax.set_xlabel("step")
    ax.set_ylabel(_QUANTITIES[quantity])
    ax.grid(alpha=0.3)
    if layers.height:
        ax.legend(title="layer", fontsize="small", ncols=1 + (layers["name"].n_unique() > 8))
    return ax
