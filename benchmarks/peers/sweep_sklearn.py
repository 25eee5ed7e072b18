"""One training by scikit-learn, as the tools that train many are given it."""

import warnings

from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from peers.sweep_task import Task


def train(task: Task, lr: float, seed: int) -> float:
    """The loss after one epoch."""
    net = MLPClassifier(
        (32, 32), solver="sgd", batch_size=32, learning_rate_init=lr, momentum=0.9,
        nesterovs_momentum=False, alpha=0.0, max_iter=1, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one epoch is not enough
        net.fit(task.inputs, task.targets)
    return float(log_loss(task.their_targets, net.predict_proba(task.held_out)))
