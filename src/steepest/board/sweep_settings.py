"""Which settings of a sweep matter, and the metric by each two of them: a program of its own.

    python -m steepest.board.sweep_settings FOLDER

Prints one JSON object: by metric what `Sweep.importance` and `plot_heatmap` have, or why not.
"""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

from steepest.board.programs import tell
from steepest.errors import SteepestError, needs
from steepest.sweeps import Sweep, load_sweep

# What a page compares runs by -> the column of a sweep's results.
METRICS = {
    "val_loss": "best_val_loss",
    "val_acc": "val_acc",
    "test_acc": "test_acc",
    "train_loss": "train_loss",
}
# Of more settings, the most important: 15 heatmaps.
_MOST_SETTINGS = 6


def settings(folder: Path) -> dict[str, Any]:
    """By metric of a page: importance and heatmaps; problem in place of what cannot be told."""
    sweep = load_sweep(folder)
    return {
        "runs": int(sweep.results["status"].is_not_null().sum()),
        "metrics": {name: _of_metric(sweep, column) for name, column in METRICS.items()},
    }


def _of_metric(sweep: Sweep, metric: str) -> dict[str, Any]:
    importance = _or_why(lambda: _importance(sweep, metric))
    names = [row["setting"] for row in importance.get("settings", ())]
    return {
        "importance": importance,
        "heatmaps": _or_why(lambda: _heatmaps(sweep, names, metric)),
    }


def _importance(sweep: Sweep, metric: str) -> dict[str, Any]:
    found = sweep.importance(metric)
    return {
        "settings": found.settings.to_dicts(),
        "explained": found.explained,
        "runs": found.runs,
    }


def _heatmaps(sweep: Sweep, important: list[str], metric: str) -> dict[str, Any]:
    """By "x y", two settings, the more important across."""
    with needs("plots", "the heatmap of two settings"):
        from steepest.report.sweeps.heatmap import heatmap_cells
        from steepest.report.sweeps.scales import varied

    names = [*important, *(name for name in varied(sweep) if name not in important)]
    if len(names) < 2:
        heatmap_cells(sweep, metric=metric)  # says why there is none
    found: dict[str, Any] = {}
    for x, y in combinations(names[:_MOST_SETTINGS], 2):
        cells = heatmap_cells(sweep, x, y, metric)
        found[f"{x} {y}"] = {
            **{name: getattr(cells, name) for name in ("x", "y", "columns", "rows", "low", "high")},
            **{name: getattr(cells, name).tolist() for name in ("means", "counts", "runs")},
        }
    return found


def _or_why(find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return find()
    except SteepestError as error:
        return {"problem": str(error)}


if __name__ == "__main__":
    tell(settings)
