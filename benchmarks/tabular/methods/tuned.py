"""The best of 20 random settings, chosen on folds of the training rows alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from tabular.methods import Predict
from tabular.scores import scores

Labels = NDArray[np.int64]
Settings = dict[str, Any]
TRIALS, FOLDS = 20, 3


def tuned(
    fit: Any, draw: Callable[[np.random.Generator], Settings],
    X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int,
) -> Predict:  # fmt: skip
    """The settings of the lowest log loss out of fold, fitted to all rows; the defaults are one."""
    rng = np.random.default_rng(seed)
    tried = [{}, *(draw(rng) for _ in range(TRIALS - 1))]
    losses = [out_of_fold_loss(fit, settings, X, y, classes, seed, threads) for settings in tried]
    return fit(X, y, classes, seed, threads, **tried[int(np.argmin(losses))])


def out_of_fold_loss(
    fit: Any, settings: Settings, X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int
) -> float:
    kind = StratifiedKFold if np.bincount(y).min() >= FOLDS else KFold
    p = np.zeros((len(y), classes))
    for train, held in kind(FOLDS, shuffle=True, random_state=seed).split(X, y):
        # A class without rows in a fold has no column there.
        present, local = np.unique(y[train], return_inverse=True)
        predict = fit(X.iloc[train], local, len(present), seed, threads, **settings)
        p[np.ix_(held, present)] = predict(X.iloc[held])
    return scores(p, y)["log_loss"]
