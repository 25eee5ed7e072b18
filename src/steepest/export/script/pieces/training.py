"""What a training loop uses beside torch.optim."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from steepest.export.script.pieces.constants import (
    CROP,
    CUTOUT,
    FLIP,
    MOST_CROP,
    MOST_SHIFT,
    SAMPLE,
    SHIFT,
    SIDE,
)
from steepest.export.script.pieces.randomness import random_keys, random_words


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


def groups_of(
    net: nn.Module, groups: list[tuple[list[str], float, float]]
) -> list[dict[str, object]]:
    """What torch.optim takes; `scale` and `full_decay` are kept beside it for the loop."""
    named = dict(net.named_parameters())
    return [
        {
            "params": [named[name] for name in names],
            "scale": scale,
            "weight_decay": decay,
            "full_decay": decay,
        }
        for names, scale, decay in groups
    ]


def cropped(images: Tensor, step: int) -> Tensor:
    """Each image moved by up to MOST_CROP pixels, its border reflected. (B, C, H, W)."""
    padded = F.pad(images, (MOST_CROP,) * 4, mode="reflect")
    return windows(padded, MOST_CROP + offsets(len(images), CROP, step, MOST_CROP), images.shape)


def flipped(images: Tensor, step: int) -> Tensor:
    """Half of the images mirrored left to right."""
    mirrored = torch.from_numpy(random_words(len(images), FLIP, step) >= 2**31)
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def shifted(images: Tensor, step: int) -> Tensor:
    """Each image moved by up to MOST_SHIFT pixels, zeros following."""
    padded = F.pad(images, (MOST_SHIFT,) * 4)
    corners = MOST_SHIFT - offsets(len(images), SHIFT, step, MOST_SHIFT)
    return windows(padded, corners, images.shape)


def cut_out(images: Tensor, step: int) -> Tensor:
    """A square of SIDE pixels in each image set to 0."""
    height, width = images.shape[2:]
    words = random_words(2 * len(images), CUTOUT, step).reshape(-1, 2)
    first = (words * np.array([height, width], dtype=np.uint64) >> 32).astype(np.int64) - SIDE // 2
    down, right = np.arange(height) - first[:, :1], np.arange(width) - first[:, 1:]
    rows, columns = (down >= 0) & (down < SIDE), (right >= 0) & (right < SIDE)
    inside = torch.from_numpy(rows[:, None, :, None] & columns[:, None, None, :])
    return images.masked_fill(inside, 0.0)


def offsets(count: int, purpose: int, step: int, most: int) -> np.ndarray:
    """How far each image moves down and right, (B, 2), from -most to most."""
    words = random_words(2 * count, purpose, step).reshape(-1, 2)
    return (words * (2 * most + 1) >> 32).astype(np.int64) - most


def windows(padded: Tensor, corners: np.ndarray, shape: torch.Size) -> Tensor:
    """From each image the window of this shape whose upper left corner is given, (B, 2)."""
    _, _, height, width = shape
    pairs = zip(padded, corners.tolist(), strict=True)
    return torch.stack([x[:, i : i + height, j : j + width] for x, (i, j) in pairs])
