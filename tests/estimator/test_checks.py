"""All of scikit-learn's own checks, none left out and none expected to fail."""

import warnings

from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from steepest import SteepestClassifier


class Net(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, outputs))


ESTIMATORS = [
    SteepestClassifier(),
    SteepestClassifier(hidden_layer_sizes=(32,), optimizer="adam", lr=0.02, epochs=40),
    SteepestClassifier(Net, optimizer="adam", lr=0.02, epochs=40),
]


@parametrize_with_checks(ESTIMATORS, xfail_strict=True)
def test_scikit_learn_finds_nothing(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)
