"""Pictures of a sweep, and its report."""

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes

from steepest.errors import RunError, did_you_mean
from steepest.report.sweeps.bands import plot_sweep_curves as plot_sweep_curves
from steepest.report.sweeps.heatmap import plot_heatmap as plot_heatmap
from steepest.report.sweeps.importance import plot_importance as plot_importance
from steepest.report.sweeps.page import write_sweep_report as write_sweep_report
from steepest.report.sweeps.parallel import plot_parallel as plot_parallel
from steepest.sweeps import Sweep

_PLOTS: dict[str, Callable[..., Axes]] = {
    "parallel": plot_parallel,
    "heatmap": plot_heatmap,
    "importance": plot_importance,
    "curves": plot_sweep_curves,
}


def plot_sweep(sweep: Sweep, kind: str, **arguments: Any) -> Axes:
    """The picture of this name; see `Sweep.plot`.

    Args:
        sweep: The sweep.
        kind: parallel, heatmap, importance or curves.
        **arguments: Of the plot.

    Returns:
        The Axes.

    Raises:
        RunError: There is no such picture.
    """
    if kind not in _PLOTS:
        hint = did_you_mean(str(kind), _PLOTS) or f": choose one of {', '.join(_PLOTS)}"
        raise RunError(f"there is no plot {kind!r:.40} of a sweep{hint}")
    return _PLOTS[kind](sweep, **arguments)
