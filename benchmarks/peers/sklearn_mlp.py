"""scikit-learn's MLPClassifier: SGD, one epoch. It draws its own first weights."""

import warnings
from collections.abc import Callable

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from workloads import Workload


def epoch(workload: Workload) -> Callable[[], float]:
    x = workload.scaled

    def run() -> float:
        model = MLPClassifier(
            workload.widths[1:-1],
            activation=workload.activation,
            solver="sgd",
            alpha=0.0,
            batch_size=workload.batch_size,
            learning_rate_init=workload.lr,
            momentum=workload.momentum,
            nesterovs_momentum=False,
            max_iter=1,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, workload.targets)
        return float(model.loss_)

    return run
