"""The contestants, each with its defaults.

A method is a function (X, y, classes, seed, threads) -> (X -> probabilities): it sees training rows
alone, and what it gives back predicts rows of the same columns. `--methods` takes names from here
and any other as module:function.
"""

from collections.abc import Callable
from importlib import import_module

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Predict = Callable[[pd.DataFrame], NDArray[np.floating]]
Method = Callable[[pd.DataFrame, NDArray[np.int64], int, int, int], Predict]

# Name -> where it is, and the package whose version is recorded.
METHODS = {
    "steepest": ("tabular.methods.ours:steepest", "steepest"),
    "logistic_regression": ("tabular.methods.sklearn:logistic_regression", "scikit-learn"),
    "sklearn_mlp": ("tabular.methods.sklearn:mlp", "scikit-learn"),
    "hist_gradient_boosting": ("tabular.methods.sklearn:hist_gradient_boosting", "scikit-learn"),
    "random_forest": ("tabular.methods.sklearn:random_forest", "scikit-learn"),
    "lightgbm": ("tabular.methods.lightgbm:lightgbm", "lightgbm"),
    "xgboost": ("tabular.methods.xgboost:xgboost", "xgboost"),
    "catboost": ("tabular.methods.catboost:catboost", "catboost"),
    "realmlp": ("tabular.methods.pytabkit:realmlp", "pytabkit"),
    "tabm": ("tabular.methods.pytabkit:tabm", "pytabkit"),
    "lightgbm_tuned": ("tabular.methods.lightgbm:lightgbm_tuned", "lightgbm"),
    "catboost_tuned": ("tabular.methods.catboost:catboost_tuned", "catboost"),
    "skorch": ("tabular.methods.skorch:skorch", "skorch"),
}


def find_method(name: str) -> Method:
    """The method of this name.

    Raises:
        SystemExit: There is none.
        ImportError: What it needs is not installed.
    """
    place = METHODS[name][0] if name in METHODS else name
    module, _, function = place.partition(":")
    if not function:
        known = ", ".join(METHODS)
        raise SystemExit(f"there is no method {name}; there are {known}, and module:function")
    method: Method = getattr(import_module(module), function)
    return method


def absence(name: str) -> str | None:
    """Why the method cannot run here, None if it can."""
    try:
        find_method(name)
    except ImportError as error:
        return str(error)
    return None
