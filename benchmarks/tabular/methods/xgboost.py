"""XGBoost with its defaults, which takes categories and missing values."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from xgboost import XGBClassifier

from tabular.methods import Predict
from tabular.methods.encoding import renamed


def xgboost(
    X: pd.DataFrame, y: NDArray[np.int64], classes: int, seed: int, threads: int
) -> Predict:
    trees = XGBClassifier(random_state=seed, n_jobs=threads, enable_categorical=True)
    trees.fit(renamed(X), y)
    return lambda frame: trees.predict_proba(renamed(frame))
