"""LightGBM with its defaults and tuned; it takes categories and missing values."""

from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier

from tabular.methods import Predict
from tabular.methods.encoding import renamed
from tabular.methods.tuned import Labels, Settings, tuned


def lightgbm(
    X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int, **settings: Any
) -> Predict:
    trees = LGBMClassifier(random_state=seed, n_jobs=threads, verbosity=-1, **settings)
    trees.fit(renamed(X), y)
    return lambda frame: trees.predict_proba(renamed(frame))


def lightgbm_tuned(X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int) -> Predict:
    def draw(rng: np.random.Generator) -> Settings:
        return {
            "n_estimators": int(2 ** rng.uniform(5, 9)),
            "learning_rate": float(np.exp(rng.uniform(np.log(0.01), np.log(0.2)))),
            "num_leaves": int(2 ** rng.uniform(2, 7)),
            "min_child_samples": int(2 ** rng.uniform(1, 6)),
            "reg_lambda": float(10 ** rng.uniform(-3, 1)),
            "colsample_bytree": float(rng.uniform(0.4, 1)),
            "subsample": float(rng.uniform(0.5, 1)),
            "subsample_freq": 1,
        }

    return tuned(lightgbm, draw, X, y, classes, seed, threads)
