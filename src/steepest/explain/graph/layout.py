"""A layered layout of a directed graph: boxes in rows, edges that run through none of them.

The four steps of Sugiyama, Tagawa and Toda ("Methods for visual understanding of hierarchical
system structures", 1981): rows by the longest path; an order in each row with few crossings; places
by the linear programme of Gansner, Koutsofios, North and Vo ("A technique for drawing directed
graphs", 1993); curves. Every edge has a place of its own in each row that it passes, and the label
of an edge is one of these places: so nothing overlaps.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

_COLUMN_GAP, _ROW_GAP, _PASSAGE = 18.0, 17.0, 6.0
_SWEEPS = 24
# How dear it is that an edge is not straight: between two of its own places, and at a box.
_BENT_INSIDE, _BENT_AT_BOX = 8.0, 2.0


@dataclass(frozen=True)
class Rectangle:
    """A box in the picture: its centre and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """An edge in the picture. points: (x, y), joined by curves that leave and arrive vertically.

    Even ones begin a piece that is a curve through a gap between rows, odd ones a straight passage
    through a row. label: where its label lies.
    """

    points: tuple[tuple[float, float], ...]
    label: Rectangle


@dataclass(frozen=True)
class Layout:
    """Boxes and routes in the order in which they were given, in a picture of this size."""

    boxes: tuple[Rectangle, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


@dataclass(eq=False)
class _Place:
    row: int
    width: float
    height: float
    box: bool
    x: float = 0.0
    before: list["_Place"] = field(default_factory=list)
    after: list["_Place"] = field(default_factory=list)
    order: float = 0.0


def lay_out(
    boxes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    labels: Sequence[tuple[float, float]],
) -> Layout:
    """Place boxes and edges.

    boxes: (width, height) of each. edges: from box to box, without a cycle. labels: (width,
    height) of each edge's label.
    """
    rows = _rows(len(boxes), edges)
    places = [_Place(2 * row, *size, box=True) for row, size in zip(rows, boxes, strict=True)]
    chains = [
        _chain(places[a], places[b], label) for (a, b), label in zip(edges, labels, strict=True)
    ]
    everything = [*places, *itertools.chain.from_iterable(chains)]
    grid: list[list[_Place]] = [[] for _ in range(max((p.row for p in everything), default=0) + 1)]
    for place in everything:
        grid[place.row].append(place)
    _order(grid)
    _set_x(grid, everything)
    tops, height = _tops(grid)
    width = max((p.x + p.width / 2 for p in everything), default=0.0)
    return Layout(
        tuple(Rectangle(p.x, tops[p.row] + p.height / 2, p.width, p.height) for p in places),
        tuple(
            _route(places[a], chain, places[b], tops, grid)
            for (a, b), chain in zip(edges, chains, strict=True)
        ),
        width,
        height,
    )


def _rows(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """By the longest path from what goes in; what goes in stands right above its first use."""
    rows = [0] * count
    after: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for a, b in edges:
        after[a].append(b)
        missing[b] += 1
    sources = [i for i in range(count) if not missing[i]]
    waiting = list(sources)
    while waiting:
        a = waiting.pop()
        for b in after[a]:
            rows[b] = max(rows[b], rows[a] + 1)
            missing[b] -= 1
            if not missing[b]:
                waiting.append(b)
    for a in sources:
        if after[a]:
            rows[a] = min(rows[b] for b in after[a]) - 1
    return rows


def _chain(a: _Place, b: _Place, label: tuple[float, float]) -> list[_Place]:
    """The places of one edge; the last one, next to where it leads, is that of its label."""
    chain = [_Place(row, _PASSAGE, 0.0, box=False) for row in range(a.row + 1, b.row)]
    chain[-1].width, chain[-1].height = max(label[0], _PASSAGE), label[1]
    for one, next_one in itertools.pairwise([a, *chain, b]):
        one.after.append(next_one)
        next_one.before.append(one)
    return chain


def _order(grid: list[list[_Place]]) -> None:
    """Sort each row by the mean place of its neighbours, down and up, and keep the best order."""
    _first_order(grid)
    best, fewest = [list(row) for row in grid], _crossings(grid)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in grid if down else reversed(grid):
            for place in row:
                near = place.before if down else place.after
                if near:
                    place.order = sum(p.order for p in near) / len(near)
            row.sort(key=lambda place: place.order)
            _number(row)
        crossings = _crossings(grid)
        if crossings < fewest:
            best, fewest = [list(row) for row in grid], crossings
        if not fewest:
            break
    for row, ordered in zip(grid, best, strict=True):
        row[:] = ordered
        _number(row)
    _exchange(grid)


def _first_order(grid: list[list[_Place]]) -> None:
    """Depth first from the last row upwards, so that what belongs together begins together."""
    seen: set[int] = set()
    rows: list[list[_Place]] = [[] for _ in grid]
    waiting = [place for row in grid for place in row if not place.after]
    while waiting:
        place = waiting.pop()
        if id(place) in seen:
            continue
        seen.add(id(place))
        rows[place.row].append(place)
        waiting += reversed(place.before)
    for row, places in zip(grid, rows, strict=True):
        row[:] = places
        _number(row)


def _exchange(grid: list[list[_Place]]) -> None:
    """Exchange neighbours as long as that saves crossings."""
    for _ in range(8):
        better = False
        for row in grid:
            for i in range(len(row) - 1):
                a, b = row[i], row[i + 1]
                if _pairs(b.before, a.before) + _pairs(b.after, a.after) < _pairs(
                    a.before, b.before
                ) + _pairs(a.after, b.after):
                    row[i], row[i + 1] = b, a
                    _number(row)
                    better = True
        if not better:
            return


def _pairs(left: list[_Place], right: list[_Place]) -> int:
    """How many edges to `left` cross edges to `right` of the place beside it."""
    return sum(p.order > q.order for p in left for q in right)


def _crossings(grid: list[list[_Place]]) -> int:
    total = 0
    for row in grid:
        ends = [(p.order, q.order) for p in row for q in p.after]
        if len(ends) < 2:
            continue
        upper, lower = np.array(ends).T
        above = upper[:, None] < upper[None, :]
        total += int((above & (lower[:, None] > lower[None, :])).sum())
    return total


def _number(row: list[_Place]) -> None:
    for i, place in enumerate(row):
        place.order = float(i)


def _set_x(grid: list[list[_Place]], places: list[_Place]) -> None:
    """Minimise sum w |x_a - x_b| over the edges' pieces, with room between neighbours."""
    index = {id(place): i for i, place in enumerate(places)}
    pieces = [(a, b) for a in places for b in a.after]
    entries: list[tuple[int, int, float]] = []
    limits: list[float] = []
    for row in grid:
        for left, right in itertools.pairwise(row):
            entries += [(len(limits), index[id(left)], 1.0), (len(limits), index[id(right)], -1.0)]
            gap = _COLUMN_GAP if left.width > _PASSAGE or right.width > _PASSAGE else _PASSAGE
            limits.append(-(left.width + right.width) / 2 - gap)
    cost = [0.0] * len(places)
    for a, b in pieces:
        length = len(cost)
        cost.append(_BENT_AT_BOX if a.box or b.box else _BENT_INSIDE)
        for sign in (1.0, -1.0):
            row_number = len(limits)
            entries += [(row_number, index[id(a)], sign), (row_number, index[id(b)], -sign)]
            entries.append((row_number, length, -1.0))
            limits.append(0.0)
    bounds = [(p.width / 2, None) for p in places] + [(0.0, None)] * len(pieces)
    if not limits:
        for place in places:
            place.x = place.width / 2
        return
    at, column, value = zip(*entries, strict=True)
    matrix = coo_matrix((value, (at, column)), shape=(len(limits), len(cost)))
    solution = linprog(cost, A_ub=matrix.tocsr(), b_ub=limits, bounds=bounds, method="highs")
    for place, x in zip(places, solution.x[: len(places)], strict=True):
        place.x = float(x)


def _tops(grid: list[list[_Place]]) -> tuple[list[float], float]:
    """Where each row begins, and the height of all."""
    tops, y = [], 0.0
    for row in grid:
        tops.append(y)
        y += max((place.height for place in row), default=0.0) + _ROW_GAP
    return tops, y - _ROW_GAP


def _route(
    a: _Place, chain: list[_Place], b: _Place, tops: list[float], grid: list[list[_Place]]
) -> Route:
    points = [(_port(a, chain[0], a.after), tops[a.row] + a.height)]
    for place in chain:
        bottom = tops[place.row + 1] - _ROW_GAP
        points += [(place.x, tops[place.row]), (place.x, bottom)]
    points.append((_port(b, chain[-1], b.before), tops[b.row]))
    # A box lower than its row: the straight piece down to the end of the row belongs to the edge.
    last = chain[-1]
    label = Rectangle(last.x, tops[last.row] + last.height / 2, last.width, last.height)
    points.insert(1, (points[0][0], tops[a.row + 1] - _ROW_GAP))
    return Route(tuple(points), label)


def _port(box: _Place, end: _Place, ends: list[_Place]) -> float:
    """Where along a box's side an edge begins or ends: in the order of the other ends."""
    ordered = sorted(ends, key=lambda place: place.x)
    share = (next(i for i, p in enumerate(ordered) if p is end) + 1) / (len(ordered) + 1)
    return box.x + box.width * (share - 0.5) * min(1.0, 0.25 * len(ordered) + 0.25)
