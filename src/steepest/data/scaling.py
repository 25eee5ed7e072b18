"""Scaler: x' = (x - offset) * factor + shift, fitted on the training rows alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steepest.data.blocks import blocks

Float64Array = NDArray[np.float64]

# What 8-bit images are divided by.
_WHITE = 255.0


@dataclass(frozen=True, eq=False)
class Scaler:
    """An affine map of each feature.

    kind: "none"; "pixels", x / 255; "standardise", (x - mean) / sigma with the N-1 standard
    deviation; "minmax", (x - min) / (max - min) * (high - low) + low; "robust", (x - median) /
    (third - first quartile), or half the range where the quartiles coincide. A constant feature
    becomes 0 ("standardise", "robust") or low ("minmax"). offset, factor: (n,) float64 for n
    columns, () for all alike.
    """

    kind: str = "none"
    offset: Float64Array = field(default_factory=lambda: np.zeros(()))
    factor: Float64Array = field(default_factory=lambda: np.ones(()))
    shift: float = 0.0

    @classmethod
    def fit(
        cls,
        kind: str,
        inputs: NDArray[Any],
        rows: NDArray[np.int64] | None = None,
        *,
        low: float = 0.0,
        high: float = 1.0,
    ) -> Self:
        """The scaler of these rows of an array, (M, n) by column, more dimensions by one number.

        Read by blocks and in float64, so a memory-mapped array may be larger than memory.
        """
        if kind == "none":
            return cls()
        if kind == "pixels":
            return cls(kind, np.zeros(()), np.array(1 / _WHITE))
        if kind == "minmax":
            smallest, largest = _extremes(inputs, rows)
            return cls(kind, smallest, _inverse(largest - smallest) * (high - low), low)
        if kind == "robust":
            median, spread = _quartiles(inputs, rows)
            return cls(kind, median, _inverse(spread))
        mean, sigma = _moments(inputs, rows)
        return cls(kind, mean, _inverse(sigma))

    @classmethod
    def joined(cls, scalers: Sequence[Self]) -> Self:
        """One scaler of several columns from those of each, which are of one kind."""
        if not scalers:
            return cls()
        offset, factor = (
            np.array([getattr(scaler, name).item() for scaler in scalers])
            for name in ("offset", "factor")
        )
        return cls(scalers[0].kind, offset, factor, scalers[0].shift)

    @property
    def is_identity(self) -> bool:
        return self.kind == "none"

    @property
    def constant(self) -> NDArray[np.int64]:
        """The columns that do not vary in the training rows; none where one number is for all."""
        return np.flatnonzero(self.factor == 0) if self.factor.ndim else np.empty(0, np.int64)

    def apply(self, x: NDArray[Any], dtype: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
        """The scaled values, computed in float64, as this type. x: (N, n) or (N, ...).

        What the type does not hold becomes infinite.
        """
        with np.errstate(over="ignore"):
            if self.is_identity:
                return np.asarray(x, dtype=dtype)
            scaled = (np.asarray(x, dtype=np.float64) - self.offset) * self.factor + self.shift
            return scaled.astype(dtype, copy=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "offset": self.offset.tolist(),
            "factor": self.factor.tolist(),
            "shift": self.shift,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        offset, factor = (np.array(state[name], dtype=np.float64) for name in ("offset", "factor"))
        return cls(str(state["kind"]), offset, factor, float(state["shift"]))


def _axes(inputs: NDArray[Any]) -> tuple[int, ...] | None:
    return (0,) if inputs.ndim == 2 else None


def _inverse(spread: Float64Array) -> Float64Array:
    """1 / spread, and 0 where there is none, or so little that its inverse overflows."""
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-300)


def _extremes(
    inputs: NDArray[Any], rows: NDArray[np.int64] | None
) -> tuple[Float64Array, Float64Array]:
    axes = _axes(inputs)
    pairs = [(block.min(axis=axes), block.max(axis=axes)) for block in blocks(inputs, rows)]
    smallest = np.min([low for low, _ in pairs], axis=0)
    largest = np.max([high for _, high in pairs], axis=0)
    return smallest.astype(np.float64), largest.astype(np.float64)


def _quartiles(
    inputs: NDArray[Any], rows: NDArray[np.int64] | None
) -> tuple[Float64Array, Float64Array]:
    """Median and spread of each column: between the quartiles, or half the range if that is 0."""
    columns = []
    for column in inputs.T:
        x = np.asarray(column if rows is None else column[rows], dtype=np.float64)
        low, middle, high = np.quantile(x, (0.25, 0.5, 0.75))
        columns.append((middle, high - low or (x.max() - x.min()) / 2))
    medians, spreads = np.array(columns).reshape(-1, 2).T
    return medians, spreads


def _moments(
    inputs: NDArray[Any], rows: NDArray[np.int64] | None
) -> tuple[Float64Array, Float64Array]:
    """Mean and N-1 standard deviation, merged block by block (Chan, Golub and LeVeque 1983)."""
    axes = _axes(inputs)
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for block in blocks(inputs, rows):
        x = block.astype(np.float64)
        n = x.shape[0] if axes else x.size
        block_mean = x.mean(axis=axes)
        delta = block_mean - mean
        squares = squares + ((x - block_mean) ** 2).sum(axis=axes)
        squares = squares + delta**2 * (count * n / (count + n))
        mean = mean + delta * (n / (count + n))
        count += n
    sigma = np.sqrt(squares / max(count - 1, 1))
    # Rounding can leave a constant column with a tiny spread, which would be blown up.
    smallest, largest = _extremes(inputs, rows)
    return np.asarray(mean), np.where(smallest == largest, 0.0, sigma)
