"""What stands in front of a net: numbers as periodic functions, categories as vectors."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from steepest.errors import ModelError

# More than a row of any data has; a file of a stranger may say anything.
_MOST_COLUMNS = 2**20


class PeriodicEmbedding(nn.Module):
    """Rows with what periodic functions make of their numbers beside them: [x, E].

    For each embedded column c with the number x there are K frequencies w and phases b, and D
    numbers E_d = sum over k of V_dk cos(2 pi w_k x + b_k) + a_d, all learned. Those of one d lie
    side by side, in the order of the columns.

    Args:
        features: Columns of a row, n.
        columns: Which of them are embedded, ascending; None for all.
        frequencies: K.
        outputs: D.
        sigma: Deviation of the first frequencies, w ~ N(0, sigma^2): the larger, the finer are the
            differences of numbers that the net sees at once. Phases begin as U(-pi, pi), V and a as
            U(-1 / sqrt K, 1 / sqrt K).
        generator: Where the numbers come from, torch's own by default.

    Shape:
        (N, n) to (N, n + D len(columns)).

    Raises:
        ModelError: For columns that are none, or a size below 1.

    Source:
        Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep
        learning", NeurIPS 2022; in this form, PBLD, with the defaults, Holzmüller, Grinsztajn and
        Steinwart, "Better by default", NeurIPS 2024 (RealMLP).
    """

    places: Tensor

    def __init__(
        self,
        features: int,
        columns: Sequence[int] | None = None,
        *,
        frequencies: int = 16,
        outputs: int = 3,
        sigma: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        given = range(min(features, _MOST_COLUMNS)) if columns is None else columns
        chosen = tuple(map(int, given))
        _require_within([(c, c + 1) for c in chosen], features, "columns")
        if min(frequencies, outputs) < 1:
            raise ModelError(
                f"frequencies and outputs must be at least 1, but are {frequencies} and {outputs}"
            )
        self.features, self.columns = features, chosen
        self.frequencies, self.outputs, self.sigma = frequencies, outputs, sigma
        each, bound = (frequencies, len(chosen)), 1 / math.sqrt(frequencies)

        def uniform(shape: tuple[int, ...], bound: float) -> nn.Parameter:
            return nn.Parameter((2 * torch.rand(shape, generator=generator) - 1) * bound)

        self.frequency = nn.Parameter(torch.randn(each, generator=generator) * sigma)
        self.phase = uniform(each, math.pi)
        self.mixing = uniform((outputs, *each), bound)
        self.bias = uniform((outputs, len(chosen)), bound)
        self.register_buffer("places", torch.tensor(chosen), persistent=False)

    @property
    def width(self) -> int:
        """Columns of a row that comes out."""
        return self.features + self.outputs * len(self.columns)

    def forward(self, x: Tensor) -> Tensor:
        """[x, E] of the rows x."""
        numbers = x.index_select(1, self.places)
        angles = 2 * math.pi * self.frequency * numbers.unsqueeze(1) + self.phase  # (N, K, columns)
        embedded = torch.einsum("rkc,dkc->rdc", torch.cos(angles), self.mixing) + self.bias
        return torch.cat([x, embedded.flatten(1)], dim=1)

    def extra_repr(self) -> str:
        return (
            f"{self.features}, columns={len(self.columns)}, frequencies={self.frequencies}, "
            f"outputs={self.outputs}, sigma={self.sigma}"
        )


class CategoryEmbedding(nn.Module):
    """Rows whose categories, columns of which one is 1, have become learned vectors.

    A vector is the product of a category's columns and its rows of a table; of a 1 among zeros that
    is the row of the table that a look-up takes. Rows of zeros, which stand for words that training
    never saw, become 0.

    Args:
        features: Columns of a row, n.
        spans: Of each category its first column and that beyond its last, ascending.
        outputs: Numbers of a vector, D.
        generator: Where the numbers of the table come from, N(0, 1) each; torch's own by default.

    Shape:
        (N, n) to (N, m + D len(spans)): the m columns that belong to no category come first.

    Raises:
        ModelError: For spans that are none, or overlap.

    Source:
        Guo and Berkhahn, "Entity embeddings of categorical variables", 2016; with this start,
        RealMLP.
    """

    others: Tensor

    def __init__(
        self,
        features: int,
        spans: Sequence[Sequence[int]],
        outputs: int = 8,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        pairs = tuple((int(first), int(beyond)) for first, beyond in spans)
        _require_within(pairs, features, "spans")
        if outputs < 1:
            raise ModelError(f"outputs must be at least 1, but is {outputs}")
        self.features, self.spans, self.outputs = features, pairs, outputs
        levels = sum(beyond - first for first, beyond in pairs)
        self.table = nn.Parameter(torch.randn(levels, outputs, generator=generator))
        ends = [0, *itertools.chain.from_iterable(pairs), features]
        kept = itertools.chain.from_iterable(map(range, ends[::2], ends[1::2]))
        self.register_buffer("others", torch.tensor([*kept], dtype=torch.int64), persistent=False)

    @property
    def width(self) -> int:
        """Columns of a row that comes out."""
        return len(self.others) + self.outputs * len(self.spans)

    def forward(self, x: Tensor) -> Tensor:
        """The rows x (N, n) with vectors in place of their categories."""
        tables = torch.split(self.table, [beyond - first for first, beyond in self.spans])
        vectors = [
            x[:, first:beyond] @ table
            for (first, beyond), table in zip(self.spans, tables, strict=True)
        ]
        return torch.cat([x.index_select(1, self.others), *vectors], dim=1)

    def extra_repr(self) -> str:
        return f"{self.features}, categories={len(self.spans)}, outputs={self.outputs}"


def _require_within(spans: Sequence[tuple[int, int]], features: int, name: str) -> None:
    """Raise ModelError unless these are ascending stretches of columns that do not overlap."""
    if not 0 < features <= _MOST_COLUMNS:
        raise ModelError(f"features must be 1 to {_MOST_COLUMNS}, but is {features}")
    ends = [0, *itertools.chain.from_iterable(spans), features]
    apart = all(first <= then for first, then in itertools.pairwise(ends))
    if not spans or not apart or any(first == beyond for first, beyond in spans):
        raise ModelError(
            f"{name} must be ascending columns of a row, 0 to {features - 1}, but has "
            f"{', '.join(map(str, spans[:10])) or 'none'}"
        )
