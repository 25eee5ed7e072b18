"""RealMLP-TD and TabM-D of pytabkit, nets tuned for tables, with their defaults."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytabkit import RealMLP_TD_Classifier, TabM_D_Classifier

from tabular.methods import Predict
from tabular.methods.encoding import imputed

Labels = NDArray[np.int64]


def realmlp(X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int) -> Predict:
    return _fitted(RealMLP_TD_Classifier, X, y, seed, threads)


def tabm(X: pd.DataFrame, y: Labels, classes: int, seed: int, threads: int) -> Predict:
    return _fitted(TabM_D_Classifier, X, y, seed, threads)


def _fitted(kind: type, X: pd.DataFrame, y: Labels, seed: int, threads: int) -> Predict:
    torch.set_num_threads(threads)
    filled = imputed(X).fit(X)
    net = kind(random_state=seed, n_threads=threads, device="cpu").fit(filled.transform(X), y)
    return lambda frame: net.predict_proba(filled.transform(frame))
