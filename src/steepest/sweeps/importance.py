"""Which settings decide the metric: shares of its variance over the space of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.errors import RunError, needs
from steepest.random import Purpose, uniform
from steepest.sweeps.distributions import Choice, Distribution
from steepest.sweeps.metrics import Metric
from steepest.sweeps.summary import is_sound

_TREES, _POINTS = 64, 2048
_MOST_RUNS = 4000  # evenly spread ones, where there are more
# Ranks of runs that have no number: after all that have, the broken after the pruned.
_PLACES = {"finished": 0.0, "pruned": 1.0, "diverged": 2.0, "failed": 2.0}

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """How much of the metric each setting decides.

    Attributes:
        settings: One row a setting, the most important first: setting; alone, the share of the
            variance that it decides by itself; total, together with all interactions it is in.
        explained: The share of the variance between runs that the settings explain at all: R² on
            runs that a tree has not seen. The rest is seed noise, and what so few runs do not show.
        runs: How many were looked at.
    """

    settings: pl.DataFrame
    explained: float
    runs: int


def importance_of(
    results: pl.DataFrame,
    trials: Sequence[Mapping[str, Any]],
    space: Mapping[str, Distribution],
    metric: Metric,
    seed: int,
) -> Importance:
    """Shares of the variance of the metric's rank, by a random forest of the runs.

    See `Sweep.importance`.

    Args:
        results: Of the sweep.
        trials: The settings of each.
        space: Where they come from.
        metric: What is explained.
        seed: Of the forest.

    Raises:
        RunError: No setting varied, or too few runs have ended.
        MissingExtra: scikit-learn is not installed.
    """
    with needs("plots", "the importance of settings"):
        from sklearn.ensemble import RandomForestRegressor

    ended = results.filter(pl.col("status").is_not_null())
    ended = ended.gather_every(-(-ended.height // _MOST_RUNS) or 1)
    of_run = ended["trial"].to_numpy()
    columns = {
        name: _codes([trial[name] for trial in trials], one)[of_run] for name, one in space.items()
    }
    varied = {name: code for name, code in columns.items() if len(np.unique(code)) > 1}
    if not varied:
        raise RunError("no setting of this sweep varied between runs that have ended")
    if ended.height < 2 * len(varied) + 2 or ended["trial"].n_unique() < 3:
        raise RunError(
            f"{ended.height} runs that have ended, of {ended['trial'].n_unique()} trials, are too "
            f"few to tell which of {len(varied)} settings matter"
        )
    ranks = _ranks(ended, metric)
    if np.ptp(ranks) == 0:
        raise RunError(f"all runs are equal in {metric.name}: no setting matters more than another")
    forest = RandomForestRegressor(
        _TREES, max_features=1.0, oob_score=True, bootstrap=True, random_state=seed % 2**32
    ).fit(np.stack(list(varied.values()), axis=1), ranks)
    alone, total = _shares(forest, [space[name] for name in varied], seed)
    table = pl.DataFrame({"setting": list(varied), "alone": alone, "total": total})
    return Importance(
        table.sort("total", descending=True), max(0.0, float(forest.oob_score_)), ended.height
    )


def _codes(values: Sequence[Any], source: Distribution) -> Float64Array:
    """Where values lie between 0 and 1: such that those of the source are evenly spread."""
    if isinstance(source, Choice):
        places = {repr(value): i for i, value in enumerate(source.values)}
        return np.array([(places[repr(v)] + 0.5) / len(places) for v in values])
    low, high = source.ends
    numbers = np.array([float(value) for value in values])
    if getattr(source, "log", False):
        low, high, numbers = np.log(low), np.log(high), np.log(numbers)
    return np.asarray((numbers - low) / (high - low))


def _ranks(ended: pl.DataFrame, metric: Metric) -> Float64Array:
    """Between 0 and 1, the best first; equal ones share their mean."""
    sound = ended.select(is_sound(metric)).to_series().to_numpy()
    cost = np.array([metric.cost(value) for value in ended[metric.name]])
    place = np.array([_PLACES[status] for status in ended["status"]])
    place = np.where(sound, place, np.maximum(place, 1.0))
    from scipy.stats import rankdata

    order = rankdata(np.where(sound, cost, 0.0), method="dense") + (len(cost) + 1) * place
    return np.asarray((rankdata(order) - 0.5) / len(cost))


def _shares(
    forest: Any, sources: Sequence[Distribution], seed: int
) -> tuple[Float64Array, Float64Array]:
    """Sobol' indices of first and of total order over the space, of what the forest predicts."""
    d = len(sources)
    if d == 1:
        return np.ones(1), np.ones(1)
    drawn = uniform(seed, Purpose.IMPORTANCE, 0, 2 * d * _POINTS).reshape(2 * d, _POINTS)
    for k, source in enumerate(sources):
        if isinstance(source, Choice):  # the middles of its values, as the forest saw them
            n = len(source.values)
            for row in (k, d + k):
                drawn[row] = (np.floor(drawn[row] * n) + 0.5) / n
    a, b = drawn[:d], drawn[d:]
    mixed = np.repeat(a[None], d, axis=0)
    mixed[np.arange(d), np.arange(d)] = b
    predict = forest.predict
    f_a, f_b = predict(a.T), predict(b.T)
    if np.ptp(f_a) == 0:
        return np.zeros(d), np.zeros(d)
    f_ab = np.stack([predict(points.T) for points in mixed])
    from scipy.stats import sobol_indices

    found = sobol_indices(
        func={"f_A": f_a[None], "f_B": f_b[None], "f_AB": f_ab[:, None]}, n=_POINTS
    )
    return (
        np.clip(np.ravel(found.first_order), 0, 1),
        np.clip(np.ravel(found.total_order), 0, 1),
    )
