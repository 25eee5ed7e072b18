"""By what an epoch is the best: what best_by names, measured, and as a cost."""

import math

import numpy as np
from numpy.typing import NDArray

from steepest.classifier import Classifier, Score, calibrated_loss
from steepest.data import PreparedPart
from steepest.engine import forward

# What is said where patience is over, by what decides.
NO_BETTER = {
    "loss": "the validation loss has not been lower",
    "accuracy": "the validation accuracy has not been higher",
    "balanced_accuracy": "the balanced accuracy on the validation part has not been higher",
    "calibrated_loss": "the validation loss after its temperature has not been lower",
}


def metric_of(best_by: str, classifier: Classifier, part: PreparedPart, score: Score) -> float:
    """What best_by names, measured.

    Args:
        best_by: Of the recipe.
        classifier: Whose model has the weights of the epoch.
        part: Validation rows.
        score: Of these rows at these weights.

    Returns:
        A loss in nats, or a share of rows; NaN where the loss is not finite.
    """
    match best_by:
        case "loss":
            return score.loss
        case "accuracy":
            return score.accuracy
    if not math.isfinite(score.loss):
        return math.nan
    outputs = forward(classifier.model, part.inputs)
    probabilities = classifier.objective.probabilities(outputs).numpy().astype(np.float64)
    if best_by == "balanced_accuracy":
        decided = classifier.objective.decide(probabilities)
        return balanced_accuracy(decided, part.targets, part.weights)
    multilabel = classifier.objective.kind == "multilabel"
    return calibrated_loss(probabilities, part.targets, multilabel=multilabel, weights=part.weights)


def cost_of(best_by: str, metric: float) -> float:
    """What is low where an epoch is good: the loss itself, or 1 less the share that is right.

    Epochs of equal cost, as accuracies of few rows often are, are decided by the loss; of those
    that are equal in that, too, the first is the best.
    """
    return 1 - metric if best_by in ("accuracy", "balanced_accuracy") else metric


def told_beside(best_by: str, metric: float | None) -> dict[str, float]:
    """What an epoch tells of a metric, by its name: nothing of loss and accuracy, told anyway."""
    return {} if metric is None or best_by in ("loss", "accuracy") else {best_by: metric}


def balanced_accuracy(
    decided: NDArray[np.int64],
    targets: NDArray[np.int64],
    weights: NDArray[np.float32] | None = None,
) -> float:
    """The mean, over the classes that occur, of the share of their rows that is right.

    Args:
        decided: (N,), or (N, C) of 0 and 1, where it is the mean over the classes.
        targets: As `decided`.
        weights: (N,) how much each row counts; None for 1.
    """
    if targets.ndim > 1:
        columns = zip(np.asarray(decided, np.int64).T, targets.T, strict=True)
        return float(np.mean([balanced_accuracy(d, t, weights) for d, t in columns]))
    rows = np.bincount(targets, weights)
    right = np.bincount(targets, (decided == targets) * (1.0 if weights is None else weights))
    return float((right[rows > 0] / rows[rows > 0]).mean())
