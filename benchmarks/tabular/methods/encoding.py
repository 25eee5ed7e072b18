"""Tables as what a method takes."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from tabular.tables import categorical

LEVELS = 64  # of a column that get an input of their own; the rarer ones share one


def standardised(X: pd.DataFrame, *, sparse: bool = True) -> ColumnTransformer:
    """Standardised numbers (a missing one is the mean, and says so), a 0 or 1 for each level."""
    words = categorical(X)
    numbers = [column for column in X if column not in words]
    levels = OneHotEncoder(
        max_categories=LEVELS, handle_unknown="infrequent_if_exist", sparse_output=sparse
    )
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(_imputer(), StandardScaler()), numbers),
            ("words", levels, words),
        ],
        sparse_threshold=0.3 if sparse else 0,
    )


def ordinal(X: pd.DataFrame) -> ColumnTransformer:
    """Numbers as they are, levels as their number; NaN where missing or unknown."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return ColumnTransformer([("words", codes, categorical(X))], remainder="passthrough")


def imputed(X: pd.DataFrame) -> Pipeline:
    """Frames without missing numbers: the mean, and a category that says so (as TabArena does)."""
    words = categorical(X)
    numbers = [column for column in X if column not in words]
    return ColumnTransformer(
        [("numbers", SimpleImputer(keep_empty_features=True), numbers)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


def renamed(X: pd.DataFrame) -> pd.DataFrame:
    """The columns as c0, c1 ...: some libraries refuse names that hold certain marks."""
    return X.set_axis([f"c{i}" for i in range(X.shape[1])], axis=1)


def _imputer() -> SimpleImputer:
    return SimpleImputer(add_indicator=True, keep_empty_features=True)
