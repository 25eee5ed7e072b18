"""Temperature: probabilities that are as sure as they are right, fitted on held-out rows."""

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

_TINY = 1e-12
# Rows that were held out by chance tell a temperature to about one over the root of their number:
# it is drawn towards 1 as if so many further rows had been measured there.
_ROWS_AT_ONE = 10.0
_RANGE = (np.log(0.2), np.log(5.0))


def fitted_temperature(
    probabilities: Float64Array,
    targets: NDArray[np.int64],
    *,
    multilabel: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """The temperature at which the log loss of these rows is lowest, between 1/5 and 5.

    Args:
        probabilities: (N, C) of rows that the nets have not seen.
        targets: (N,) class indices, or (N, C) of 0 and 1 where a row may have several classes.
        multilabel: Whether it may.
        weights: (N,) how much each row counts; None for 1.

    Source:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and most runs need none of it

    logits = _log(probabilities)
    if multilabel:
        logits = logits - _log(1 - probabilities)

    # Weights that are all alike are as none: so many rows were looked at, however they count.
    scale = None if weights is None else weights * (len(targets) / weights.sum(dtype=np.float64))

    def cost(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        if multilabel:
            losses = np.logaddexp(0, np.where(targets == 1, -scaled, scaled)).mean(axis=1)
        else:
            highest = scaled.max(axis=1, keepdims=True)
            normaliser = np.log(np.exp(scaled - highest).sum(axis=1)) + highest[:, 0]
            losses = normaliser - scaled[np.arange(len(targets)), targets]
        total = losses.sum() if weights is None else losses @ scale
        return float(total + _ROWS_AT_ONE * log_temperature**2 / 2)

    found = minimize_scalar(cost, bounds=_RANGE, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def calibrated_loss(
    probabilities: Float64Array,
    targets: NDArray[np.int64],
    *,
    multilabel: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """The log loss of some rows at the temperature that `fitted_temperature` finds on them.

    It leaves out how sure a net is in general, which a temperature mends after training, and tells
    how well it refines: epochs are chosen by it.

    Args:
        probabilities: (N, C).
        targets: (N,) class indices, or (N, C) of 0 and 1.
        multilabel: Whether a row may have several classes.
        weights: (N,) how much each row counts; None for 1.

    Source:
        Berta, Holzmüller, Jordan and Bach, "Rethinking early stopping: refine, then calibrate",
        2025 (arXiv 2501.19195).
    """
    rows = {"multilabel": multilabel, "weights": weights}
    temperature = fitted_temperature(probabilities, targets, **rows)  # type: ignore[arg-type]
    logits = _log(probabilities)
    if multilabel:
        sharpened = 1 / (1 + np.exp((_log(1 - probabilities) - logits) / temperature))
    else:
        powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
        sharpened = powers / powers.sum(axis=1, keepdims=True)
    return log_loss(sharpened, targets, **rows)  # type: ignore[arg-type]


def log_loss(
    probabilities: Float64Array,
    targets: NDArray[np.int64],
    *,
    multilabel: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Mean cross entropy in nats, weighted by row if there are weights."""
    if multilabel:
        losses = -_log(np.where(targets == 1, probabilities, 1 - probabilities)).mean(axis=1)
    else:
        losses = -_log(probabilities[np.arange(len(targets)), targets])
    return float(np.average(losses, weights=weights))


def _log(x: Float64Array) -> Float64Array:
    logarithms: Float64Array = np.log(np.maximum(x, _TINY))
    return logarithms
