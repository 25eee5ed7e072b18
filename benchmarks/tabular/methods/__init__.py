"""The contestants, each with its defaults.

A method is a function (X, y, classes, seed, threads) -> (X -> probabilities): it sees training rows
alone, and what it gives back predicts rows of the same columns. `--methods` takes names from here
and any other as module:function.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contenders import Contenders

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

_CONTENDERS = Contenders("method", METHODS)
absence, version_of = _CONTENDERS.absence, _CONTENDERS.version


def find_method(name: str) -> Method:
    """`Contenders.find`, of these."""
    found: Method = _CONTENDERS.find(name)
    return found
