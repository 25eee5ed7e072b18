"""What comes of the nets of an ensemble: the classifier, and how it does on held-out rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from steepest.classifier import Classifier, Score, fitted_temperature, log_loss
from steepest.ensemble.combine import greedy_weights
from steepest.ensemble.member_run import MemberRun
from steepest.ensemble.portfolio import Portfolio

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Combination:
    """The nets put together.

    Attributes:
        classifier: Of the nets that have a weight.
        held_out: Each row's loss and accuracy by nets that have not seen it.
        text: What was decided, in plain words.
    """

    classifier: Classifier
    held_out: Score
    text: str


def combined(portfolio: Portfolio, runs: list[MemberRun]) -> Combination:
    """Weights of the views by their held-out rows, then one temperature by the same rows.

    A row is held out by one net of each view, so that the views can be compared on it; the nets of
    a view share its weight. A view that lacks a row's net (it diverged) is left out there.
    """
    multilabel = portfolio.objective.kind == "multilabel"
    sound = [run for run in runs if run.finish()]
    if not sound:  # as a run that diverges gives back the weights from before
        sound = runs
        for run in runs:
            portfolio.begin_anew(run.member)
    views = sorted({run.member.view for run in sound})
    predicted = {view: _of_view(portfolio, sound, view) for view in views}
    covered = np.all([~np.isnan(p).any(axis=1) for p in predicted.values()], axis=0)
    rows = np.flatnonzero(covered)
    targets = portfolio.targets[rows]
    about: dict[str, Any] = {"multilabel": multilabel, "weights": _taken(portfolio.weights, rows)}
    deciding = about | {"weights": portfolio.deciding_weights(rows)}
    probabilities = [predicted[view][rows] for view in views]
    share, temperature = np.full(len(views), 1 / len(views)), 1.0
    score = Score(0, float("nan"), float("nan"))
    if len(rows):
        share = greedy_weights(probabilities, lambda p: log_loss(p, targets, **deciding))
        mean = np.tensordot(share, np.array(probabilities), axes=1)
        # Half-way, in logarithms: the mean of all nets is less sharp than that of one a view.
        temperature = fitted_temperature(mean, targets, **deciding) ** 0.5
    counts = {view: sum(run.member.view == view for run in sound) for view in views}
    shares = [float(share[views.index(r.member.view)]) / counts[r.member.view] for r in sound]
    classifier = portfolio.classifier([run.member for run in sound], shares, temperature)
    if len(rows):
        score = _score(mean, targets, temperature, **about)
    named = ", ".join(f"{portfolio.names[v]} {w:.2f}" for v, w in zip(views, share, strict=True))
    text = f"weights {named}; temperature {temperature:.2f}"
    return Combination(classifier, score, text)


def _of_view(portfolio: Portfolio, runs: list[MemberRun], view: int) -> Float64Array:
    """The probabilities of the rows by a view's nets that have not seen them, NaN where none."""
    result = np.full((len(portfolio.targets), len(portfolio.classes)), np.nan)
    for run in runs:
        if run.member.view == view:
            found = portfolio.objective.probabilities(run.outputs()).numpy()
            result[run.member.held_out] = found
    return result


def _score(
    probabilities: Float64Array,
    targets: NDArray[np.int64],
    temperature: float,
    *,
    multilabel: bool,
    weights: NDArray[np.float32] | None,
) -> Score:
    """Of the mean at this temperature."""
    logits = np.log(np.maximum(probabilities, 1e-300))
    if multilabel:
        logits = logits - np.log(np.maximum(1 - probabilities, 1e-300))
        tempered = expit(logits / temperature)
        right = ((tempered > 0.5) == targets).all(axis=1)
    else:
        tempered = softmax(logits / temperature, axis=1)
        right = tempered.argmax(axis=1) == targets
    loss = log_loss(tempered, targets, multilabel=multilabel, weights=weights)
    return Score(len(targets), loss, float(np.average(right, weights=weights)))


def _taken(
    weights: NDArray[np.float32] | None, rows: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    return None if weights is None else weights[rows]
