"""skorch with its defaults: SGD, learning rate 0.01, 10 epochs."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from skorch import NeuralNetClassifier
from torch import nn

from tabular.methods import Predict
from tabular.methods.encoding import standardised


def skorch(X: pd.DataFrame, y: NDArray[np.int64], classes: int, seed: int, threads: int) -> Predict:
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    encoding = standardised(X, sparse=False).fit(X)
    inputs = encoding.transform(X).astype(np.float32)
    # skorch has no net of its own: that of scikit-learn's MLPClassifier.
    net = nn.Sequential(nn.Linear(inputs.shape[1], 100), nn.ReLU(), nn.Linear(100, classes))
    training = NeuralNetClassifier(net, criterion=nn.CrossEntropyLoss, verbose=0).fit(inputs, y)
    return lambda frame: training.predict_proba(encoding.transform(frame).astype(np.float32))
