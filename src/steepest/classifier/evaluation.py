"""Evaluation: how well a classifier does on labelled rows, by scikit-learn's metrics."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.classifier.html import html_table
from steepest.errors import needs

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

CALIBRATION_BINS = 15
# In notebooks: the confusion of up to so many classes, and these measures.
_MOST_CLASSES = 30
_MEASURES = ("loss", "accuracy", "balanced_accuracy", "roc_auc", "expected_calibration_error")
_WHAT = "an evaluation (per-class scores, confusion, ROC AUC, calibration)"


def require_metrics() -> None:
    """Raise MissingExtra where scikit-learn is missing, before any work."""
    with needs("metrics", _WHAT):
        import sklearn  # noqa: F401


@dataclass(frozen=True)
class ClassScore:
    """One class: precision TP / (TP + FP), recall TP / (TP + FN), their harmonic mean, its rows."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose confidence in the likeliest class lies in one bin, and how many were right.

    confidence: its mean. accuracy: the share that was right.
    """

    confidence: float
    accuracy: float
    rows: int


@dataclass(frozen=True)
class Evaluation:
    """What a classifier did on some rows.

    Attributes:
        rows: How many rows.
        loss: Mean cross entropy, in nats.
        accuracy: Share of rows predicted rightly; with all their classes, if multilabel.
        balanced_accuracy: Mean recall of the classes that occur; if multilabel, the mean over the
            classes of each one's balanced accuracy.
        roc_auc: Area under the ROC curve, for more than two classes the mean of one-versus-rest;
            None if no class occurs beside another.
        expected_calibration_error: Mean gap between the confidence in the likeliest class and its
            accuracy, weighted over 15 equal bins of confidence; if multilabel, of all decisions.
        classes: The score of each class, in the order of the classifier's.
        confusion: Row counts, (C, C): rows are true classes, columns are predictions. If
            multilabel, for each class its true negatives, false positives, false negatives and
            true positives, (C, 4).
        multilabel: Whether rows may have several classes or none.
        calibration: The bins of the calibration error, without the empty ones.

    Source:
        C. Guo et al., "On calibration of modern neural networks", ICML 2017 (calibration error).
    """

    rows: int
    loss: float
    accuracy: float
    balanced_accuracy: float
    roc_auc: float | None
    expected_calibration_error: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    multilabel: bool = False
    calibration: tuple[CalibrationBin, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        return _as_html(self)


def evaluate_probabilities(
    probabilities: Float64Array, targets: Int64Array, loss: float, names: tuple[str, ...]
) -> Evaluation:
    """The evaluation of predicted probabilities.

    probabilities: (N, C). targets: (N,) in [0, C). names: the C classes.
    """
    with needs("metrics", _WHAT):
        from sklearn import metrics

    predictions = probabilities.argmax(axis=1)
    indices = np.arange(len(names))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        targets, predictions, labels=indices, zero_division=0.0
    )
    confusion = metrics.confusion_matrix(targets, predictions, labels=indices)
    occurring = support > 0
    calibration = _calibration(probabilities, targets)
    return Evaluation(
        rows=len(targets),
        loss=loss,
        accuracy=float((predictions == targets).mean()),
        balanced_accuracy=float(recall[occurring].mean()),
        roc_auc=_roc_auc(probabilities, targets),
        expected_calibration_error=_calibration_error(calibration),
        classes=tuple(
            ClassScore(name, float(p), float(r), float(f), int(n))
            for name, p, r, f, n in zip(names, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        calibration=calibration,
    )


def evaluate_labels(
    probabilities: Float64Array, targets: Int64Array, loss: float, names: tuple[str, ...]
) -> Evaluation:
    """The evaluation where rows may have several classes. Both (N, C); targets of 0 and 1."""
    with needs("metrics", _WHAT):
        from sklearn import metrics

    predictions = (probabilities > 0.5).astype(np.int64)
    # One column is two classes to scikit-learn, of which the second one is meant.
    meant = [1] if targets.shape[1] == 1 else None
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        targets, predictions, labels=meant, average=None, zero_division=0.0
    )
    confusion = metrics.multilabel_confusion_matrix(targets, predictions, labels=meant)
    confusion = confusion.reshape(-1, 4)
    both = np.stack([1 - probabilities, probabilities], axis=2)
    of_classes = [_roc_auc(p, t) for p, t in zip(both.swapaxes(0, 1), targets.T, strict=True)]
    areas = [area for area in of_classes if area is not None]  # an area of 0 is one, too
    balanced = [
        np.mean([(p == t)[t == value].mean() for value in np.unique(t)])
        for p, t in zip(predictions.T, targets.T, strict=True)
    ]
    calibration = _calibration(both.reshape(-1, 2), targets.reshape(-1))
    return Evaluation(
        rows=len(targets),
        loss=loss,
        accuracy=float((predictions == targets).all(axis=1).mean()),
        balanced_accuracy=float(np.mean(balanced)),
        roc_auc=float(np.mean(areas)) if areas else None,
        expected_calibration_error=_calibration_error(calibration),
        classes=tuple(
            ClassScore(name, float(p), float(r), float(f), int(n))
            for name, p, r, f, n in zip(names, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        multilabel=True,
        calibration=calibration,
    )


def _roc_auc(probabilities: Float64Array, targets: Int64Array) -> float | None:
    from sklearn.metrics import roc_auc_score

    # One column tells all about two classes; for more, each class against the rest.
    columns = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [
        roc_auc_score(targets == c, probabilities[:, c])
        for c in columns
        if 0 < (targets == c).sum() < len(targets)
    ]
    return float(np.mean(areas)) if areas else None


def _calibration(probabilities: Float64Array, targets: Int64Array) -> tuple[CalibrationBin, ...]:
    from sklearn.calibration import calibration_curve

    confidence = probabilities.max(axis=1).clip(0.0, 1.0)
    right = probabilities.argmax(axis=1) == targets
    accuracy, mean_confidence = calibration_curve(right, confidence, n_bins=CALIBRATION_BINS)
    # calibration_curve leaves out empty bins and keeps the counts to itself.
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=CALIBRATION_BINS)
    columns = (mean_confidence, accuracy, counts[counts > 0])
    return tuple(
        CalibrationBin(float(c), float(a), int(n)) for c, a, n in zip(*columns, strict=True)
    )


def _calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    gaps = sum(abs(b.accuracy - b.confidence) * b.rows for b in bins)
    return gaps / sum(b.rows for b in bins)


def _as_html(evaluation: Evaluation) -> str:
    """The measures, the score of each class, and the confusion of up to 30 classes."""
    values = ((name, getattr(evaluation, name)) for name in _MEASURES)
    measures = [
        (name.replace("_", " "), "-" if value is None else f"{value:.4f}") for name, value in values
    ]
    classes = [
        (c.name, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", str(c.support))
        for c in evaluation.classes
    ]
    names = [c.name for c in evaluation.classes]
    parts = [
        html_table(("measure", f"on {evaluation.rows} rows"), measures),
        html_table(("class", "precision", "recall", "f1", "rows"), classes),
    ]
    if len(names) <= _MOST_CLASSES:
        corner, across = "true \\ predicted", names
        if evaluation.multilabel:
            corner, across = "class", ["neither", "only predicted", "only true", "both"]
        rows = [
            (name, *map(str, counts))
            for name, counts in zip(names, evaluation.confusion, strict=True)
        ]
        parts.append(html_table((corner, *across), rows, "confusion"))
    return "".join(parts)
