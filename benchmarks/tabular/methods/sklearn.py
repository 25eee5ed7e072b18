"""scikit-learn's classifiers with their defaults, behind the encoding that each needs."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from tabular.methods import Predict
from tabular.methods.encoding import ordinal, standardised
from tabular.tables import categorical

Labels = NDArray[np.int64]
LARGEST_CATEGORY = 255  # levels of a column that HistGradientBoosting takes


def logistic_regression(
    X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int
) -> Predict:
    # 100 iterations, the default, end with a warning on many tables: more only help it.
    return _fitted(standardised(X), LogisticRegression(max_iter=1000), X, y)


def mlp(X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int) -> Predict:
    return _fitted(standardised(X), MLPClassifier(random_state=seed), X, y)


def random_forest(X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int) -> Predict:
    forest = RandomForestClassifier(random_state=seed, n_jobs=threads)
    return _fitted(ordinal(X), forest, X, y)


def hist_gradient_boosting(
    X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int
) -> Predict:
    large = [c for c in categorical(X) if len(X[c].cat.categories) > LARGEST_CATEGORY]

    def taken(frame: pd.DataFrame) -> pd.DataFrame:
        codes = {c: frame[c].cat.codes.astype(np.float64).replace(-1, np.nan) for c in large}
        return frame.assign(**codes)

    # Early stopping, "auto", holds rows out at random, and cannot where a class has one row.
    rare = np.bincount(y).min() < 2
    trees = HistGradientBoostingClassifier(
        random_state=seed, early_stopping=False if rare else "auto"
    ).fit(taken(X), y)
    return lambda frame: trees.predict_proba(taken(frame))


def _fitted(encoding: Any, classifier: Any, X: pd.DataFrame, y: Labels) -> Predict:
    return make_pipeline(encoding, classifier).fit(X, y).predict_proba
