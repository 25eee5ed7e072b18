"""What a nearest-neighbour classifier and counting say about inputs and labels (test T1)."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

_MOST_ROWS = 2000
_MOST_COLUMNS = 4096
_COMPARED_COLUMNS = 512  # of wide rows, evenly spread: pixels tell what their neighbours do


@dataclass(frozen=True)
class Table:
    """Inputs (N, ...) float or integer with their labels (N,), None if those are no classes.

    numbers: (N,) of the rows in the data, None where these are only some rows of unknown places.
    """

    X: Tensor
    y: Tensor | None
    numbers: Tensor | None = None

    def __len__(self) -> int:
        return len(self.X)

    @cached_property
    def flat(self) -> Tensor:
        return self.X.flatten(1).float()

    @cached_property
    def numeric(self) -> bool:
        """Measured values, not names of words."""
        return self.X.is_floating_point() or self.X.dtype == torch.uint8

    def some(self, most: int = _MOST_ROWS) -> "Table":
        """At most this many rows, evenly spread."""
        if len(self) <= most:
            return self
        rows = torch.linspace(0, len(self) - 1, most).long()
        y, numbers = (None if t is None else t[rows] for t in (self.y, self.numbers))
        return Table(self.X[rows], y, numbers)


@dataclass(frozen=True)
class Neighbours:
    """How well 10 nearest neighbours in other folds guess the label.

    z: deviations above the commonest class. dependence: deviations from what votes that know
    nothing of the labels would hit; far below 0 where neighbours are of the other class. votes:
    (N, C) share of each class among the neighbours of a row.
    """

    accuracy: float
    majority: float
    z: float
    dependence: float
    votes: Tensor


def _scaled(*tables: Tensor) -> list[Tensor]:
    """Columns of the first with mean 0 and deviation 1; the others by its statistics."""
    d = tables[0].shape[1]
    if d > _COMPARED_COLUMNS:
        columns = torch.linspace(0, d - 1, _COMPARED_COLUMNS).long()
        tables = tuple(x[:, columns] for x in tables)
    mean, std = tables[0].mean(0), tables[0].std(0)
    std = torch.where(std > 1e-8, std, 1.0)
    return [((x - mean) / std).clamp(-10, 10) for x in tables]


def _votes(distances: Tensor, y: Tensor, classes: int, k: int = 10) -> Tensor:
    near = distances.topk(min(k, distances.shape[1]), largest=False).indices
    return torch.nn.functional.one_hot(y[near], classes).float().mean(1)


def comparable(table: Table) -> bool:
    """Whether distances between these rows mean anything and are cheap."""
    return (
        table.numeric
        and table.y is not None
        and len(table) >= 50
        and table.flat.shape[1] <= _MOST_COLUMNS
        and bool(table.flat.isfinite().all())
        and bool((table.y >= 0).all())
    )


def neighbours(table: Table, y: Tensor | None = None) -> Neighbours:
    """Cross-validated over 5 folds. y: other labels for the same rows."""
    y = table.y if y is None else y
    assert y is not None
    x = _scaled(table.flat)[0]
    classes = int(y.max()) + 1
    distances = torch.cdist(x, x)
    fold = torch.arange(len(x)) % 5
    distances.masked_fill_(fold[:, None] == fold[None], math.inf)
    votes = _votes(distances, y, classes)
    accuracy = float((votes.argmax(1) == y).float().mean())
    m = float(y.bincount().max()) / len(y)
    error = math.sqrt(max(m * (1 - m), 1e-4) / len(y))
    return Neighbours(accuracy, m, (accuracy - m) / error, dependence(votes.argmax(1), y), votes)


def dependence(said: Tensor, truth: Tensor) -> float:
    """Deviations of the right answers (N,) from those of answers that know nothing of the labels.

    Such answers, of the same shares p of the classes as these, hit sum_c p_c q_c of labels of
    shares q, with the standard deviation of a binomial.
    """
    classes = int(max(said.max(), truth.max())) + 1
    p, q = (v.bincount(minlength=classes).double() / len(v) for v in (said, truth))
    chance = float((p * q).sum())
    spread = math.sqrt(max(chance * (1 - chance), 1e-4) / len(truth))
    return (float((said == truth).float().mean()) - chance) / spread


def guessed(train: Table, other: Table, classes: int) -> Tensor:
    """The classes (M,) that the training rows' neighbours give to other rows."""
    assert train.y is not None
    a, b = _scaled(train.flat, other.flat)
    return _votes(torch.cdist(b, a), train.y, classes).argmax(1)


def nearest(train: Table, other: Table) -> tuple[Tensor, Tensor]:
    """Distance to the nearest training row: of training rows, and of the other ones (M,).

    Of at most 256 columns, evenly spread: two equal rows are equal in these, too.
    """
    columns = torch.linspace(0, train.flat.shape[1] - 1, min(256, train.flat.shape[1])).long()
    a, b = _scaled(train.flat[:, columns], other.flat[:, columns])
    some = a[:: max(1, len(a) // len(b))]
    # A matrix product finds which one is nearest; of nearly equal rows it leaves no digit.
    itself = torch.cdist(some, a).topk(2, largest=False).indices
    within = (some[:, None] - a[itself]).norm(dim=2).max(1).values
    return within, (b - a[torch.cdist(b, a).argmin(1)]).norm(dim=1)


def shift_of_labels(table: Table, plain: Neighbours) -> int | None:
    """K such that the label of row i + k belongs to row i, if one of +-1 to 3 does clearly."""
    assert table.y is not None
    if plain.z >= 2 or len(table) < 300:
        return None
    for k in (1, -1, 2, -2, 3, -3):
        if neighbours(table, table.y.roll(-k)).z > 5:
            return k
    return None


def one_column_accuracies(table: Table) -> Tensor:
    """For each column (d,): how well it alone tells the class, learned on one half of the rows."""
    assert table.y is not None
    y, classes = table.y, int(table.y.max()) + 1
    half = torch.arange(len(table)) % 2 == 0
    scores = []
    for column in table.flat.T:
        edges = torch.unique(column[half])
        if len(edges) > 50:
            shares = torch.linspace(0, 1, 51)
            edges = torch.unique(torch.quantile(column[half], shares))
        bins = torch.bucketize(column, (edges[1:] + edges[:-1]) / 2)
        counts = torch.zeros(len(edges), classes)
        counts.index_put_((bins[half], y[half]), torch.ones(int(half.sum())), accumulate=True)
        scores.append((counts.argmax(1)[bins[~half]] == y[~half]).float().mean())
    return torch.stack(scores)


def clustered(table: Table) -> Tensor:
    """The share of each column's variance (d,) that lies between the classes.

    It is 1 if the column encodes them, 0 if it is constant.
    A column that decides the label by a threshold spreads within each class; a copy of the label
    does not.
    """
    assert table.y is not None
    x = table.flat.double()
    counts = table.y.bincount().double()[:, None]
    sums = x.new_zeros(len(counts), x.shape[1]).index_add_(0, table.y, x)
    means = sums / counts.clamp_min(1)
    within = (x - means[table.y]).square().mean(0)
    whole = x.var(0, correction=0)
    return torch.where(whole > 0, 1 - within / whole.clamp_min(1e-30), 0.0)


def row_hashes(X: Tensor) -> list[int]:
    """A number for each row; equal rows have equal ones."""
    array = X.flatten(1).contiguous().numpy()
    return [hash(row.tobytes()) for row in array]


def near_continuous(X: Tensor) -> bool:
    """Whether some column has so many values that two rows are hardly equal by accident."""
    flat = X.flatten(1)
    some = flat[:: max(1, len(flat) // 2000)]
    columns = some[:, :: max(1, some.shape[1] // 256)]
    ordered = columns.sort(0).values
    distinct = 1 + (ordered[1:] != ordered[:-1]).sum(0)
    if columns.shape[1] >= 64:  # wide rows of few values each, as images, are as telling
        return bool((distinct.double().log2().sum() > 60).item())
    return bool((distinct > 0.2 * len(columns)).any())


def neighbour_correlation(images: Tensor) -> float:
    """Mean correlation of a pixel (N, C, H, W) with the ones right of and below it."""
    x = images.double()
    pairs = ((x[..., :-1], x[..., 1:]), (x[..., :-1, :], x[..., 1:, :]))
    correlations = []
    for a, b in pairs:
        a, b = a - a.mean(), b - b.mean()
        correlations.append(float((a * b).mean() / (a.std() * b.std() + 1e-12)))
    return sum(correlations) / len(correlations)


def runs_test(y: Tensor, share: Tensor) -> float:
    """Z of the changes of label from row to row, far below 0 for labels that come in runs.

    y: (N,) labels in their order. share: (C,) of each class, as if rows were drawn independently
    (Wald and Wolfowitz, On a test whether two samples are from the same population, 1940).
    """
    changes = float((y[1:] != y[:-1]).sum())
    p = 1 - float((share**2).sum())
    return (changes - p * (len(y) - 1)) / math.sqrt(max(p * (1 - p), 1e-6) * (len(y) - 1))


def best_assignment(table: Tensor) -> tuple[list[int], float]:
    """A column for each row of a square table such that their sum is largest, and that sum.

    The Hungarian algorithm (Kuhn, 1955).
    """
    # Its import takes up to a second, and few want it: not while steepest is imported.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    agreed = float(table[torch.as_tensor(rows), torch.as_tensor(columns)].sum())
    return columns.tolist(), agreed


def class_indices(target: Any) -> Tensor | None:
    """Labels as class indices (N,): from integers, from 0.0 and 1.0, from one-hot rows."""
    if not isinstance(target, Tensor) or target.ndim == 0:
        return None
    y = target.detach()
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.is_floating_point():
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()
        return y.argmax(1) if one_hot else None
    if y.ndim != 1:
        return None
    if y.is_floating_point():
        whole = bool((y == y.round()).all()) and len(y) > 0
        return y.long() if whole and torch.unique(y).numel() <= 0.5 * len(y) + 2 else None
    return y.long()
