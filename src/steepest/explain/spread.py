"""Initialisation and scaling in pictures: how far activations and gradients spread, by layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from steepest.data import load_data
from steepest.errors import DataError, RecipeError
from steepest.explain.colours import DASHES, colour, marker
from steepest.nn import LinearLayer, mlp
from steepest.nn.linear import INITIALISERS
from steepest.objective import cross_entropy

_ROWS = 512
# A spread below this is that of rounding errors, and is drawn as zero: at the lower edge.
_NOTHING = 1e-12
# Of the weights, by update: about a thousandth is usual (Karpathy, CS231n, "Neural Networks 3").
_USUAL_RATIO = 1e-3
_OF_THE_LECTURE = ("xavier", "he", "normal", "uniform", "zeros", "ones")
_LABELS = {
    "activation_std": "std of activations",
    "gradient_std": "std of dL/dA",
    "weight_gradient_std": "std of dL/dW",
}


def initialisation_spread(
    data: Any = "digits",
    *,
    hidden: Sequence[int] = (100,) * 6,
    activation: str = "tanh",
    schemes: Sequence[str] = _OF_THE_LECTURE,
    seed: int = 0,
) -> pl.DataFrame:
    """One forward and backward pass of fresh nets: what each scheme makes of raw and scaled inputs.

    Standardised is as the lecture has it, by the mean and the N - 1 standard deviation of each
    feature.

    Args:
        data: Anything that `load_data` takes that gives arrays of numbers; at most 512 rows are
            used.
        hidden: Units of each hidden layer.
        activation: As for `mlp`.
        schemes: Initialisations by their names.
        seed: Of the weights.

    Returns:
        A row for each scheme, scaling ("raw", "standardised") and layer: activation_mean and
        activation_std of its activations, gradient_std of dL/dA, weight_gradient_std of dL/dW.

    Raises:
        RecipeError: An unknown scheme.
        DataError: Data without labels, or a table.
    """
    unknown = [scheme for scheme in schemes if scheme not in INITIALISERS]
    if unknown:
        raise RecipeError(
            f"unknown initialisation {unknown[0]!r}: choose from {', '.join(INITIALISERS)}"
        )
    raw, y = _rows(data)
    std, mean = torch.std_mean(raw, dim=0)
    inputs = {"raw": raw, "standardised": (raw - mean) / torch.where(std > 0, std, 1.0)}
    rows: list[dict[str, Any]] = []
    for scheme in schemes:
        for scaling, x in inputs.items():
            model = mlp(
                x.shape[1], hidden, int(y.max()) + 1, activation=activation, init=scheme, seed=seed
            )
            rows += [
                {"scheme": scheme, "scaling": scaling, **measured}
                for measured in _measure(model.double(), x, y)
            ]
    return pl.DataFrame(rows)


def plot_spread(spread: pl.DataFrame, quantity: str, scaling: str, ax: Axes) -> Axes:
    """One quantity over the layers, a line for each scheme.

    A spread of zero stands at the lower edge, a decade below the smallest other one.

    Args:
        spread: Of `initialisation_spread`.
        quantity: activation_std, gradient_std or weight_gradient_std.
        scaling: "raw" or "standardised".
        ax: Where it is drawn.

    Returns:
        The same Axes.
    """
    all_values = spread[quantity].to_numpy()
    floor = 0.1 * float(all_values[all_values > _NOTHING].min(initial=1.0))
    for i, scheme in enumerate(spread["scheme"].unique(maintain_order=True)):
        some = spread.filter((pl.col("scheme") == scheme) & (pl.col("scaling") == scaling))
        values = np.maximum(some[quantity].to_numpy(), floor)
        style: dict[str, Any] = {"color": colour(i), "marker": marker(i)}
        style["linestyle"] = DASHES[i % len(DASHES)]
        ax.plot(some["layer"], values, **style, label=scheme, markersize=5)
    ax.set_yscale("log")
    ax.set_xlabel("layer")
    ax.set_ylabel(_LABELS[quantity])
    ax.set_title(f"{scaling} inputs")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.25)
    return ax


def spread_figure(spread: pl.DataFrame) -> Figure:
    """Activations and gradients, with raw and with standardised inputs, for all schemes.

    Args:
        spread: Of `initialisation_spread`.

    Returns:
        A figure of two rows and two columns.
    """
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row")
    for row, quantity in zip(axes, ("activation_std", "gradient_std"), strict=True):
        for ax, scaling in zip(row, ("raw", "standardised"), strict=True):
            plot_spread(spread, quantity, scaling, ax)
            ax.label_outer()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def plot_update_ratios(layers: pl.DataFrame, ax: Axes) -> Axes:
    """How large an update is beside its weights, layer by layer, over the steps.

    The grey line is a thousandth, about which a healthy run with SGD lies; a hundred times more or
    less is suspect.

    Args:
        layers: `run.layers`, whose update_ratio is |change of W| / |W| in one step; of several nets
            the median is drawn.
        ax: Where it is drawn.

    Returns:
        The same Axes.

    Source:
        Karpathy, notes to Stanford's CS231n, "Neural Networks Part 3", "Ratio of weights:updates".
    """
    for i, name in enumerate(layers["name"].unique(maintain_order=True)):
        some = layers.filter(pl.col("name") == name)
        if "net" in some.columns:
            by_step = some.group_by("step", maintain_order=True)
            some = by_step.agg(pl.col("update_ratio").median())
        style: dict[str, Any] = {"color": colour(i), "linestyle": DASHES[i % len(DASHES)]}
        ax.plot(some["step"], np.maximum(some["update_ratio"], _NOTHING), **style, label=name)
    ax.axhline(_USUAL_RATIO, color="grey", lw=4, alpha=0.35, zorder=0)
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("|update| / |weights|")
    ax.grid(alpha=0.25)
    ax.legend(title="layer")
    return ax


def _rows(data: Any) -> tuple[Tensor, Tensor]:
    """At most 512 rows, flattened, and their class indices."""
    samples = load_data(data).train
    if isinstance(samples.inputs, pl.DataFrame) or samples.labels is None:
        raise DataError(
            f"{samples.source}: the spread is shown for arrays of numbers with labels; encode the "
            "table first, or pass (X, y)"
        )
    count = len(samples)
    some = np.linspace(0, count - 1, min(count, _ROWS)).astype(np.int64)
    rows = some if samples.rows is None else samples.rows[some]
    x = torch.from_numpy(np.asarray(samples.inputs[rows], dtype=np.float64)).flatten(1)
    _, y = np.unique(np.asarray(samples.labels)[some], return_inverse=True)
    return x, torch.from_numpy(y.astype(np.int64))


def _measure(model: nn.Module, x: Tensor, y: Tensor) -> list[dict[str, float]]:
    """The statistics of each hidden layer of one net."""
    layers = [module for module in model.modules() if isinstance(module, LinearLayer)][:-1]
    outputs: list[Tensor] = []
    a: Tensor = x
    for module in model.children():
        a = module(a)
        if not isinstance(module, (LinearLayer, nn.Flatten)):
            a.retain_grad()
            outputs.append(a)
    cross_entropy(a, y).backward()  # type: ignore[no-untyped-call]
    rows = []
    for i, (layer, output) in enumerate(zip(layers, outputs, strict=True), start=1):
        assert output.grad is not None
        assert layer.weight.grad is not None
        rows.append(
            {
                "layer": i,
                "activation_mean": output.mean().item(),
                "activation_std": output.std(correction=0).item(),
                "gradient_std": output.grad.std(correction=0).item(),
                "weight_gradient_std": layer.weight.grad.std(correction=0).item(),
            }
        )
    return rows
