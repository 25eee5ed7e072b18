"""What scikit-learn's callbacks hear of a training."""

from typing import Any

from steepest.run import EpochFinished, Event
from steepest.training import StopTraining


class EpochsTold:
    """An observer that tells the callbacks of each epoch; one of them may end the training.

    Args:
        estimator: What is fitted.
        context: Of scikit-learn's callbacks, for this fit.
        X: The rows, as they were given.
        y: Their labels.
    """

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any) -> None:
        self.estimator, self.context, self.X, self.y = estimator, context, X, y

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochFinished):
            epoch = self.context.subcontext(task_name="epoch")
            told = {"estimator": self.estimator, "X": self.X, "y": self.y}
            epoch.call_on_fit_task_begin(**told)
            if epoch.call_on_fit_task_end(**told):
                raise StopTraining
