"""CatBoost with its defaults and tuned; it takes missing numbers and levels as words."""

from typing import Any

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier

from tabular.methods import Predict
from tabular.methods.tuned import Labels, Settings, tuned
from tabular.tables import categorical


def catboost(
    X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int, **settings: Any
) -> Predict:
    words = categorical(X)

    def taken(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{c: frame[c].astype(object).fillna("missing") for c in words})

    trees = CatBoostClassifier(
        random_seed=seed,
        thread_count=threads,
        verbose=False,
        allow_writing_files=False,
        **settings,
    )
    trees.fit(taken(X), y, cat_features=words)
    return lambda frame: trees.predict_proba(taken(frame))


def catboost_tuned(X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int) -> Predict:
    def draw(rng: np.random.Generator) -> Settings:
        return {
            "iterations": int(2 ** rng.uniform(6, 10)),
            "learning_rate": float(np.exp(rng.uniform(np.log(0.02), np.log(0.2)))),
            "depth": int(rng.integers(4, 9)),
            "l2_leaf_reg": float(10 ** rng.uniform(0, 1.5)),
            "random_strength": float(10 ** rng.uniform(-1, 1)),
        }

    return tuned(catboost, draw, X, y, classes, seed, threads)
