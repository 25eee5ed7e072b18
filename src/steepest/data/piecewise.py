"""PiecewiseColumns: rows that hold two numbers for each piecewise linear feature, not all its bins.

Of a feature with T bins a row has T columns, of which all but one are constants: one for the bins
below that of the value, one for those above. So a prepared row keeps the number of the value's bin,
and what stands in the column of that bin; the other columns of a row are kept as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PiecewiseColumns:
    """How a row as it is kept becomes the columns that a net takes.

    Attributes:
        width: Columns that a net takes, W.
        plain: (P, 2) int64, kept columns that are copied: from which, to which.
        values: (n,) int64, for each feature the kept column of the value in its own bin.
        places: (n,) int64, the kept column of the number of that bin, from 0.
        first: (n,) int64, the column of the feature's first bin, ascending.
        bins: (n,) int64, how many it has.
        empty: (W,) float64, what stands in a bin above that of the value.
        full: (W,) float64, what stands in one below.
    """

    width: int
    plain: Int64Array
    values: Int64Array
    places: Int64Array
    first: Int64Array
    bins: Int64Array
    empty: NDArray[np.float64]
    full: NDArray[np.float64]

    @property
    def kept(self) -> int:
        """Columns of a row as it is kept."""
        return len(self.plain) + 2 * len(self.values)

    @cached_property
    def _of_bins(self) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Of all bins: their columns, their features, and their numbers within these."""
        features = np.repeat(np.arange(len(self.bins)), self.bins)
        numbers = np.concatenate([np.arange(count) for count in self.bins] or [features])
        return self.first[features] + numbers, features, numbers

    def expand(self, kept: NDArray[Any]) -> NDArray[Any]:
        """All columns, (N, W) of the same type. kept: (N, kept)."""
        columns, features, numbers = self._of_bins
        dense = np.empty((len(kept), self.width), dtype=kept.dtype)
        dense[:, self.plain[:, 1]] = kept[:, self.plain[:, 0]]
        places = kept[:, self.places]
        empty, full = (part[columns].astype(kept.dtype) for part in (self.empty, self.full))
        dense[:, columns] = np.where(numbers < places[:, features], full, empty)
        own = self.first + places.astype(np.int64)
        np.put_along_axis(dense, own, kept[:, self.values], axis=1)
        return dense

    def within(self, first: int, beyond: int) -> tuple[slice, Self | None]:
        """Of the columns first .. beyond-1 alone: where they are kept, and how they are made.

        Features are taken whole. None where what is kept is what a net takes.
        """
        plain = self.plain[(self.plain[:, 1] >= first) & (self.plain[:, 1] < beyond)]
        some = np.flatnonzero((self.first >= first) & (self.first < beyond))
        used = np.concatenate([plain[:, 0], self.values[some], self.places[some]])
        begin, end = int(used.min()), int(used.max()) + 1
        in_turn = np.arange(len(plain))
        same = np.array_equal(
            plain - np.array([begin, first]), np.stack([in_turn, in_turn], axis=1)
        )
        if same and not len(some):
            return slice(begin, end), None
        part = type(self)(
            beyond - first,
            plain - np.array([begin, first]),
            self.values[some] - begin,
            self.places[some] - begin,
            self.first[some] - first,
            self.bins[some],
            self.empty[first:beyond],
            self.full[first:beyond],
        )
        return slice(begin, end), part

    @classmethod
    def beside(cls, parts: Sequence[Self | int]) -> Self | None:
        """Of rows side by side; an int stands for so many columns that are kept as they are.

        None where all are.
        """
        if all(isinstance(part, int) for part in parts):
            return None
        made = [cls.plainly(part) if isinstance(part, int) else part for part in parts]
        kept = np.cumsum([0, *(part.kept for part in made)])
        wide = np.cumsum([0, *(part.width for part in made)])
        pairs = list(zip(made, kept, wide, strict=False))
        return cls(
            int(wide[-1]),
            np.concatenate([part.plain + np.array([k, w]) for part, k, w in pairs]),
            np.concatenate([part.values + k for part, k, _ in pairs]),
            np.concatenate([part.places + k for part, k, _ in pairs]),
            np.concatenate([part.first + w for part, _, w in pairs]),
            np.concatenate([part.bins for part in made]),
            np.concatenate([part.empty for part in made]),
            np.concatenate([part.full for part in made]),
        )

    @classmethod
    def plainly(cls, width: int) -> Self:
        """Of rows without such features."""
        same, none = np.arange(width), np.empty(0, np.int64)
        plain = np.stack([same, same], axis=1)
        return cls(width, plain, none, none, none, none, np.zeros(width), np.zeros(width))
