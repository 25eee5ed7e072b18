"""How good probabilities are."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

BINS = 15
# A probability of 0 costs as much in every type: float32's resolution bounds it for all.
LEAST = float(np.finfo(np.float32).eps)


def scores(probabilities: NDArray[np.floating], y: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, balanced accuracy, log loss in nats, AUC and ECE of these test rows.

    Args:
        probabilities: (rows, classes), non-negative; each row is divided by its sum.
        y: (rows,) class indices.

    Raises:
        ValueError: The probabilities are not finite, negative, or of another shape.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or len(p) != len(y):
        raise ValueError(f"probabilities of shape {p.shape} for {len(y)} rows")
    if not np.isfinite(p).all() or (p < 0).any() or not (p.sum(1) > 0).all():
        raise ValueError("probabilities must be finite, not negative, and not all 0 in a row")
    p = p / p.sum(1, keepdims=True)
    chosen = p.argmax(1)
    return {
        "accuracy": float(np.mean(chosen == y)),
        "balanced_accuracy": float(np.mean([np.mean(chosen[y == c] == c) for c in np.unique(y)])),
        "log_loss": float(-np.log(np.clip(p[np.arange(len(y)), y], LEAST, 1)).mean()),
        "auc": auc(p, y),
        "ece": expected_calibration_error(p, y),
    }


def auc(p: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Area under the ROC curve, one class against the rest, mean over the classes in y."""
    present = [c for c in np.unique(y) if 0 < np.mean(y == c) < 1]
    if p.shape[1] == 2:
        present = present[-1:]
    return float(np.mean([roc_auc_score(y == c, p[:, c]) for c in present])) if present else np.nan


def expected_calibration_error(p: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Mean distance between confidence and accuracy over 15 bins of equal width.

    Source:
        Naeini, Cooper and Hauskrecht 2015; of the most likely class, as Guo et al. 2017.
    """
    confidence, right = p.max(1), p.argmax(1) == y
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(y))
