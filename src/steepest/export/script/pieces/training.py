"""What a training loop uses beside torch.optim."""

import numpy as np
import torch
from torch import Tensor

from steepest.export.script.pieces.constants import SAMPLE
from steepest.export.script.pieces.randomness import random_keys


def drawn_by_weight(weights: np.ndarray, epoch: int) -> np.ndarray:
    """As many rows as there are weights, each drawn by its weight, some several times."""
    cumulative = np.cumsum(weights)
    shares = (random_keys(len(weights), SAMPLE, epoch) >> 11) * 2.0**-53  # in [0, 1)
    rows = np.searchsorted(cumulative, shares * cumulative[-1], side="right")
    return np.minimum(rows, len(weights) - 1)


class Muon(torch.optim.Optimizer):
    """Moves matrices along orthogonal directions (Jordan et al., 2024)."""

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for w in group["params"]:
                mean = self.state[w].setdefault("mean", torch.zeros_like(w))
                mean.lerp_(w.grad, 1 - group["momentum"])
                direction = orthogonalised(w.grad.lerp(mean, group["momentum"]))
                longer = max(1.0, w.shape[0] / w.shape[1]) ** 0.5
                w.mul_(1 - group["lr"] * group["weight_decay"])
                w.add_(direction, alpha=-group["lr"] * longer)


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix of the same singular vectors, whose singular values are near 1."""
    a, b, c = 3.4445, -4.7750, 2.0315  # of the iteration of Newton and Schulz
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
