"""Numeric columns as nets take them best: clipped smoothly, by their ranks, or piecewise linear.

Each is fitted on the training rows, a column at a time, and computed in float64.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from steepest.data.piecewise import PiecewiseColumns
from steepest.data.threads import for_each

Float64Array = NDArray[np.float64]

# What is done to numbers beyond an affine map; "robust" has its affine map in the Scaler.
KINDS = ("robust", "quantile", "piecewise")
# Quantiles of more rows than these do not get better by what a net could use.
_ROWS_RANKED = 100_000
# As scikit-learn's QuantileTransformer has them.
_MOST_QUANTILES = 1000
_EDGE = 1e-7
# Where the smooth clip bends: it is nearly x for |x| far below, and never reaches the bound.
_CLIP = 3.0
_ROWS_AT_ONCE = 8192
# The standard deviation of a bin. The bins of a column rise and fall together: at 1 each they would
# outweigh the other columns (docs/presets/tabular.md has the figures).
_SPREAD = 0.5


@dataclass(frozen=True, eq=False)
class NumericTransform:
    """What becomes of some columns of a matrix of numbers; the others stay as they are.

    Attributes:
        kind: "robust", x / sqrt(1 + (x / 3)^2) of what the Scaler made of x; "quantile", the
            normal quantile of the share of training values below x; "piecewise", how far x fills
            each bin between successive quantiles, brought to mean 0 and deviation 1/2.
        places: (n,) int64, the columns that are transformed.
        width: Columns of the matrix that comes in.
        knots: For each of the n columns the quantiles of its training values: a grid for
            "quantile", the edges of the bins, ascending and distinct, for "piecewise".
        moments: For each of the n columns the mean and the inverse deviation of how far each bin
            is filled by the training values (times 1/2), (2, bins), for "piecewise".
    """

    kind: str
    places: NDArray[np.int64]
    width: int
    knots: tuple[Float64Array, ...] = ()
    moments: tuple[Float64Array, ...] = ()

    @classmethod
    def fit(
        cls,
        kind: str,
        x: NDArray[Any],
        places: NDArray[np.int64],
        bins: int = 24,
        *,
        rows: NDArray[np.int64] | None = None,
    ) -> Self:
        """The transform of these rows.

        Args:
            kind: One of KINDS.
            x: (M, width), the matrix that holds the training rows.
            places: The columns that hold numbers.
            bins: Of "piecewise", at most; fewer where quantiles coincide.
            rows: (N,) the training rows; None for all.
        """
        if kind == "robust":
            return cls(kind, places, x.shape[1])
        total = len(x) if rows is None else len(rows)
        some = np.linspace(0, total - 1, min(total, _ROWS_RANKED)).astype(np.int64)
        some = some if rows is None else rows[some]
        count = bins + 1 if kind == "piecewise" else min(_MOST_QUANTILES, total)
        shares = np.linspace(0, 1, count)
        knots, moments = [], []
        for place in places:
            values = x[some, place].astype(np.float64)
            found = _quantiles(values, shares)
            knots.append(np.unique(found) if kind == "piecewise" else found)
            if kind == "piecewise":
                moments.append(_moments(piecewise_linear(values, knots[-1])))
        return cls(kind, places, x.shape[1], tuple(knots), tuple(moments))

    @property
    def outputs(self) -> int:
        """Columns of the matrix that comes out."""
        if self.kind != "piecewise":
            return self.width
        return self.width - len(self.places) + sum(_bins(edges) for edges in self.knots)

    @property
    def has_bins(self) -> bool:
        """Whether a number becomes several."""
        return self.kind == "piecewise"

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each column that comes in begins in what comes out, and where the last ends."""
        widths = np.ones(self.width, dtype=np.int64)
        if self.kind == "piecewise":
            widths[self.places] = [_bins(edges) for edges in self.knots]
        return np.concatenate([[0], np.cumsum(widths)])

    @property
    def described(self) -> str:
        """The kind, in a word or two."""
        most = max(map(_bins, self.knots), default=0)
        return f"piecewise, up to {most} bins" if self.kind == "piecewise" else self.kind

    @cached_property
    def columns(self) -> PiecewiseColumns | None:
        """How the rows that `code` gives become all columns; None where they are all columns."""
        if self.kind != "piecewise":
            return None
        bins = np.array([_bins(edges) for edges in self.knots], dtype=np.int64)
        begins = self.starts[:-1]
        others = np.setdiff1d(np.arange(self.width), self.places)
        empty, full = np.zeros(self.outputs), np.zeros(self.outputs)
        for place, count, (mean, inverse) in zip(self.places, bins, self.moments, strict=True):
            own = slice(begins[place], begins[place] + count)
            empty[own], full[own] = (0 - mean) * inverse, (1 - mean) * inverse
        kept, numbers = len(others), np.arange(len(bins))
        return PiecewiseColumns(
            width=self.outputs,
            plain=np.stack([np.arange(kept), begins[others]], axis=1),
            values=kept + numbers,
            places=kept + len(bins) + numbers,
            first=begins[self.places],
            bins=bins,
            empty=empty,
            full=full,
        )

    def code(self, x: Float64Array, dtype: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
        """The transformed rows as they are kept, (N, columns.kept), or all columns of them.

        x: (N, width) float64.
        """
        columns = self.columns
        if columns is None:
            return self.apply(x, dtype)
        kept = np.empty((len(x), columns.kept), dtype=dtype)
        kept[:, columns.plain[:, 0]] = x[:, np.setdiff1d(np.arange(self.width), self.places)]

        def fill(i: int) -> None:
            edges, (mean, inverse) = self.knots[i], self.moments[i]
            with np.errstate(over="ignore"):
                bins, filled = bin_of(x[:, self.places[i]], edges)
                kept[:, columns.places[i]] = bins
                kept[:, columns.values[i]] = (filled - mean[bins]) * inverse[bins]

        for_each(fill, range(len(self.places)), len(x) * len(self.places))
        return kept

    def apply(self, x: Float64Array, dtype: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
        """The transformed rows, (N, outputs) of this type. x: (N, width) float64."""
        if self.columns is not None:
            return self.columns.expand(self.code(x, dtype))
        with np.errstate(over="ignore"):
            result = x.astype(dtype, order="C")

        def change(i: int) -> None:
            for start in range(0, len(x), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                column = x[rows, self.places[i]]
                with np.errstate(over="ignore"):
                    result[rows, self.places[i]] = (
                        smooth_clip(column)
                        if self.kind == "robust"
                        else normal_quantile(column, self.knots[i])
                    )

        for_each(change, range(len(self.places)), len(x) * len(self.places))
        return result

    def fits(self, x: Float64Array, dtype: type[np.floating[Any]]) -> NDArray[np.bool_]:
        """Which values of the rows stay finite in this type, (N, width)."""
        finite = np.isfinite(x)
        if self.columns is not None:
            finite[:, self.places] &= np.isfinite(self.code(x, dtype)[:, self.columns.values])
        return finite

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "places": self.places.tolist(),
            "width": self.width,
            "knots": [knots.tolist() for knots in self.knots],
            "moments": [moments.tolist() for moments in self.moments],
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        """Raises ValueError for what `to_json` does not give."""
        kind, width = str(state["kind"]), int(state["width"])
        places = np.array(state["places"], dtype=np.int64)
        knots = tuple(np.array(own, dtype=np.float64) for own in state["knots"])
        if kind not in KINDS:
            raise ValueError(f"it transforms numbers in an unknown way, {kind!r}")
        if (
            places.ndim != 1
            or np.any(np.diff(places) <= 0)
            or np.any((places < 0) | (places >= width))
        ):
            raise ValueError("its transformed columns are not columns of its rows")
        if len(knots) != (0 if kind == "robust" else len(places)):
            raise ValueError(f"it has {len(knots)} lists of quantiles for {len(places)} columns")
        for own in knots:
            if (
                own.ndim != 1
                or not len(own)
                or not np.all(np.isfinite(own))
                or np.any(np.diff(own) < 0)
            ):
                raise ValueError("its quantiles do not ascend")
        moments = tuple(np.array(own, dtype=np.float64) for own in state["moments"])
        expected = [(2, _bins(own)) for own in knots] if kind == "piecewise" else []
        if [own.shape for own in moments] != expected:
            raise ValueError("the means and deviations of its bins do not fit the bins")
        return cls(kind, places, width, knots, moments)


def smooth_clip(x: Float64Array) -> Float64Array:
    """The identity near 0, within (-3, 3) everywhere: x / sqrt(1 + (x / 3)^2).

    Source: Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024.
    """
    # The same as the formula, without the overflow of a square.
    clipped: Float64Array = x / np.hypot(1.0, x / _CLIP)
    return clipped


def normal_quantile(x: Float64Array, quantiles: Float64Array) -> Float64Array:
    """The normal quantile of where x lies among the training values, as scikit-learn's.

    Args:
        x: (N,).
        quantiles: (Q,) ascending, of the training values at evenly spread shares.

    Returns:
        (N,), between about -5.2 and 5.2. A value that many training rows share gets the middle of
        its shares.
    """
    if quantiles[0] == quantiles[-1]:
        return np.zeros_like(x)
    shares = np.linspace(0, 1, len(quantiles))
    share = np.interp(x, quantiles, shares)
    if np.any(quantiles[1:] == quantiles[:-1]):  # else it is the same from above
        share = 0.5 * (share - np.interp(-x, -quantiles[::-1], -shares[::-1]))
    share[x - _EDGE < quantiles[0]] = 0.0
    share[x + _EDGE > quantiles[-1]] = 1.0
    least = _EDGE - np.spacing(1)
    found: Float64Array = np.clip(ndtri(share), ndtri(least), ndtri(1 - least))
    return found


def piecewise_linear(x: Float64Array, edges: Float64Array) -> Float64Array:
    """How far x fills each bin: 1 for those below it, 0 for those above, its share in its own.

    The first and the last bin go on beyond their edges, so that no two values become alike.

    Args:
        x: (N,).
        edges: (T + 1,) ascending and distinct.

    Returns:
        (N, T); (N, 1) zeros where the column is constant.

    Source:
        Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep
        learning", NeurIPS 2022.
    """
    if len(edges) < 2:
        return np.zeros((len(x), 1))
    filled = (x[:, None] - edges[:-1]) / np.diff(edges)
    if filled.shape[1] > 1:
        np.minimum(filled[:, :1], 1.0, out=filled[:, :1])
        np.clip(filled[:, 1:-1], 0.0, 1.0, out=filled[:, 1:-1])
        np.maximum(filled[:, -1:], 0.0, out=filled[:, -1:])
    return filled


def bin_of(x: Float64Array, edges: Float64Array) -> tuple[NDArray[np.int64], Float64Array]:
    """The bin that x lies in, and how far x fills it; beyond the edges as `piecewise_linear`.

    Args:
        x: (N,).
        edges: (T + 1,) ascending and distinct.

    Returns:
        (N,) int64 and (N,) float64; zeros where the column is constant.
    """
    if len(edges) < 2:
        return np.zeros(len(x), dtype=np.int64), np.zeros(len(x))
    bins = np.searchsorted(edges[1:-1], x, side="right")
    return bins, (x - edges[bins]) / np.diff(edges)[bins]


def _quantiles(x: Float64Array, shares: Float64Array) -> Float64Array:
    """The quantiles at these shares, ascending, with the very values where shares meet rows.

    np.quantile misses a row by the last digit of its share, and tells equal values apart then.
    """
    ranked, places = np.sort(x), shares * (len(x) - 1)
    whole = np.round(places)
    places = np.where(np.abs(places - whole) < 1e-9 * len(x), whole, places)
    found: Float64Array = np.interp(places, np.arange(len(x)), ranked)
    return np.maximum.accumulate(found)


def _moments(filled: Float64Array) -> Float64Array:
    """The mean of each bin and what brings its deviation to 1/2, 0 where it is 0, (2, T)."""
    deviation = filled.std(axis=0)
    inverse = np.divide(_SPREAD, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9)
    return np.stack([filled.mean(axis=0), inverse])


def _bins(edges: Float64Array) -> int:
    """The columns that one becomes."""
    return max(1, len(edges) - 1)
