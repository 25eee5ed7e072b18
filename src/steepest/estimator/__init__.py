"""The estimator: training with scikit-learn's manners."""

from steepest.estimator.classifier import SteepestClassifier as SteepestClassifier
