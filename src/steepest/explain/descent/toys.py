"""Small data of one or two inputs, to look at gradient descent on."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from steepest.random import Purpose, uniform

Toy = tuple[NDArray[np.float32], NDArray[np.int64]]


def _line(rows: int, seed: int) -> Toy:
    """One input; class 1 lies in the middle."""
    u = uniform(seed, Purpose.SPLIT, 0, rows)
    x = np.sort(6 * (np.arange(rows) + u) / rows - 3)
    return x[:, None].astype(np.float32), (np.abs(x) < 1.3).astype(np.int64)


def _moons(rows: int, seed: int) -> Toy:
    """Two half circles that reach into each other."""
    y = np.arange(rows) % 2
    angle = np.pi * (np.arange(rows) // 2) / max(1, (rows - 1) // 2)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(y[:, None] == 0, x, [1.0, 0.5] - x)
    return _blurred(x, 0.35, seed), y


def _spiral(rows: int, seed: int) -> Toy:
    """Three arms of a spiral."""
    y = np.arange(rows) % 3
    radius = 0.15 + (np.arange(rows) // 3) / max(1, rows // 3)
    angle = 3.6 * radius + y * 2 * np.pi / 3
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _blurred(2 * x, 0.2, seed), y


def _blurred(x: NDArray[np.float64], width: float, seed: int) -> NDArray[np.float32]:
    noise = uniform(seed, Purpose.SPLIT, 1, x.size).reshape(x.shape) - 0.5
    return (x + width * noise).astype(np.float32)


# What each is called, how it is made, and how many rows it has.
TOYS: dict[str, tuple[Callable[[int, int], Toy], int]] = {
    "line": (_line, 24),
    "moons": (_moons, 60),
    "spiral": (_spiral, 90),
}


def toy(name: str, seed: int = 0) -> Toy:
    """Small data to look at gradient descent on.

    Args:
        name: "line", "moons" or "spiral".
        seed: Of the noise.

    Returns:
        Inputs, (N, 1) or (N, 2), and classes, (N,).
    """
    make, rows = TOYS[name]
    return make(rows, seed)
