"""How the nets of an ensemble are put together: their weights, from held-out rows."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

_ROUNDS = 24


def greedy_weights(
    probabilities: Sequence[Float64Array], loss: Callable[[Float64Array], float]
) -> Float64Array:
    """Weights of some predictions of the same rows, (R,), which sum to 1.

    All begin with one vote each. Then, one at a time, the prediction whose further vote lowers the
    loss of the mean most gets it, until none does or 24 have been given.

    Args:
        probabilities: R arrays (N, C).
        loss: Of a mean of them.

    Source:
        Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models",
        ICML 2004.
    """
    votes = np.ones(len(probabilities))
    total = np.sum(probabilities, axis=0)
    best = loss(total / votes.sum())
    for _ in range(_ROUNDS if len(votes) > 1 else 0):
        losses = [loss((total + p) / (votes.sum() + 1)) for p in probabilities]
        chosen = int(np.argmin(losses))
        if losses[chosen] >= best:
            break
        best = losses[chosen]
        votes[chosen] += 1
        total = total + probabilities[chosen]
    weights: Float64Array = votes / votes.sum()
    return weights
