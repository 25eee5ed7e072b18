"""Points in a plane or on a line, in two to five classes: what the playground trains on."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steepest.errors import DataError, did_you_mean
from steepest.random import Purpose, uniform

Float = NDArray[np.float64]
Int = NDArray[np.int64]

MOST_ROWS = 2000
CLASSES = (2, 5)
NAMES = ("A", "B", "C", "D", "E")
# Numbers are written with so many decimals, so that a file holds them exactly.
_DECIMALS = 4


@dataclass(frozen=True, eq=False)
class Points:
    """Labelled points.

    x: (N, 1) or (N, 2) float64. y: (N,) class indices. classes: their names. columns: names of the
    inputs.
    """

    x: Float
    y: Int
    classes: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def labels(self) -> NDArray[np.str_]:
        """The name of each point's class, (N,)."""
        return np.asarray(self.classes)[self.y]

    def csv(self) -> str:
        """As a file that `steepest train` reads: the inputs' columns, and `class`."""
        lines = [",".join((*self.columns, "class"))]
        lines += [
            ",".join((*(f"{value:.{_DECIMALS}f}" for value in row), label))
            for row, label in zip(self.x.tolist(), self.labels.tolist(), strict=True)
        ]
        return "\n".join(lines) + "\n"


def with_faults(points: Points, *, mislabelled: float, stretch: float, seed: int) -> Points:
    """The same points as they come from careless hands.

    Args:
        points: As they should be.
        mislabelled: 0 to 1, the share of points whose class is drawn at random.
        stretch: 1 to 10,000, the factor of the first input, as of another unit.
        seed: Of what is random.

    Raises:
        DataError: Of a number out of its range.
    """
    _require("mislabelled", mislabelled, 0, 1)
    _require("stretch", stretch, 1, 10_000)
    u, v = uniform(seed, Purpose.SPLIT, 7, 2 * len(points.y)).reshape(2, -1)
    drawn = (v * len(points.classes)).astype(np.int64)
    y = np.where(u < mislabelled, drawn, points.y)
    factors = np.ones(points.x.shape[1])
    factors[0] = stretch
    return replace(points, x=np.round(points.x * factors, _DECIMALS), y=y)


def make_points(name: str, *, classes: int, rows: int, noise: float, seed: int) -> Points:
    """Points of a kind.

    Args:
        name: One of `KINDS`.
        classes: 2 to 5; those of "line" and "cliff" are always 2.
        rows: 4 to 2,000, evenly over the classes.
        noise: 0 to 1, how far points stray: the standard deviation, of a picture 2 wide.
        seed: Of what is random.

    Raises:
        DataError: Of a name, or a number out of its range.
    """
    if name not in KINDS:
        hint = did_you_mean(name, KINDS) or f"; there are {', '.join(KINDS)}"
        raise DataError(f"there are no points called {name!r}{hint}")
    _require("classes", classes, *CLASSES)
    _require("rows", rows, 4, MOST_ROWS)
    _require("noise", noise, 0, 1)
    make, most = KINDS[name]
    classes = min(classes, most)
    x, y = make(classes, rows, noise, seed)
    columns = ("x",) if x.shape[1] == 1 else ("x1", "x2")
    return Points(np.round(x, _DECIMALS), y, NAMES[:classes], columns)


def read_points(text: str) -> Points:
    """Points of a person's own: one or two columns of numbers and, last, the class.

    Args:
        text: A CSV with or without a header; of 4 to 2,000 rows, with 2 to 5 classes.

    Raises:
        DataError: The text is something else; says in which line.
    """
    lines = [line for line in text.replace("\r", "").split("\n") if line.strip()]
    if len(lines) > MOST_ROWS + 1:
        raise DataError(f"own points: {len(lines)} rows, and at most {MOST_ROWS} are drawn here")
    rows: list[list[float]] = []
    labels: list[str] = []
    columns: tuple[str, ...] = ()
    for number, line in enumerate(lines, 1):
        *inputs, label = (cell.strip().strip('"') for cell in line.split(","))
        try:
            values = [float(value) for value in inputs]
        except ValueError:
            if number == 1:
                columns = tuple(inputs)
                continue
            raise DataError(
                f"own points, line {number}: {line[:60]!r} has a cell that is no number"
            ) from None
        if len(values) not in (1, 2) or not all(map(math.isfinite, values)):
            raise DataError(
                f"own points, line {number}: one or two finite numbers and a class are expected, "
                f"as 0.5,-1.2,A, but found {line[:60]!r}"
            )
        if rows and len(values) != len(rows[0]):
            raise DataError(
                f"own points, line {number}: {len(values)} numbers, and {len(rows[0])} before"
            )
        rows.append(values)
        labels.append(label)
    names = sorted(set(labels))
    if len(rows) < 4 or not CLASSES[0] <= len(names) <= CLASSES[1]:
        raise DataError(
            f"own points: {len(rows)} rows of {len(names)} classes, and at least 4 rows of 2 to 5 "
            "classes are needed"
        )
    width = len(rows[0])
    if len(columns) != width or len(set(columns)) != width:
        columns = ("x",) if width == 1 else ("x1", "x2")
    y = np.array([names.index(label) for label in labels], dtype=np.int64)
    return Points(np.round(np.array(rows), _DECIMALS), y, tuple(names), columns)


def _require(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise DataError(f"{what} must lie between {low} and {high}, but is {value}")


def _normal(seed: int, shape: tuple[int, int], stream: int) -> Float:
    """Standard normal numbers: Box and Muller, Annals of Mathematical Statistics 29, 1958."""
    u = uniform(seed, Purpose.SPLIT, 2, 2 * math.prod(shape), stream=stream)
    radius = np.sqrt(-2 * np.log1p(-u[::2]))
    values: Float = (radius * np.cos(2 * np.pi * u[1::2])).reshape(shape)
    return values


def _blobs(classes: int, rows: int, noise: float, seed: int) -> tuple[Float, Int]:
    """A cloud for each class, their centres on a circle."""
    y = np.arange(rows) % classes
    angle = 2 * np.pi * y / classes + np.pi / 4
    centres = 0.55 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centres + (0.06 + noise) * _normal(seed, (rows, 2), 0), y


def _circles(classes: int, rows: int, noise: float, seed: int) -> tuple[Float, Int]:
    """A ring for each class around the first, a disc."""
    y = np.arange(rows) % classes
    angle, along = 2 * np.pi * uniform(seed, Purpose.SPLIT, 3, 2 * rows).reshape(2, rows)
    width = 1.0 / (classes + 0.2 * (classes - 1))
    inner = 1.2 * width * y
    share = along / (2 * np.pi)
    # Evenly over the ring's area, not over its radius.
    radius = np.sqrt(inner**2 + share * ((inner + width) ** 2 - inner**2))
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x + noise * _normal(seed, (rows, 2), 1), y


def _checkerboard(classes: int, rows: int, noise: float, seed: int) -> tuple[Float, Int]:
    """Squares: exclusive or with two classes, a board of so many cells a side with more."""
    x = 2 * uniform(seed, Purpose.SPLIT, 4, 2 * rows).reshape(rows, 2) - 1
    column, row = np.minimum((classes * (x + 1) / 2).astype(np.int64), classes - 1).T
    return x + noise * _normal(seed, (rows, 2), 2), (column + row) % classes


def _moons(classes: int, rows: int, noise: float, seed: int) -> tuple[Float, Int]:
    """Two half circles that reach into each other."""
    y = np.arange(rows) % classes
    angle = np.pi * (np.arange(rows) // 2) / max(1, (rows - 1) // 2)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(y[:, None] == 0, x, [1.0, 0.5] - x)
    return (x - [0.5, 0.25]) / 1.5 + noise * _normal(seed, (rows, 2), 3), y


def _spiral(classes: int, rows: int, noise: float, seed: int) -> tuple[Float, Int]:
    """An arm for each class."""
    y = np.arange(rows) % classes
    radius = 0.08 + 0.92 * (np.arange(rows) // classes) / max(1, rows // classes)
    angle = 1.4 * np.pi * radius + 2 * np.pi * y / classes
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x + noise * _normal(seed, (rows, 2), 4), y


def _line(classes: int, rows: int, noise: float, seed: int) -> tuple[Float, Int]:
    """One input; the second class lies in the middle."""
    u = uniform(seed, Purpose.SPLIT, 5, rows)
    x = 2 * (np.arange(rows) + u) / rows - 1
    y = (np.abs(x) < 0.45).astype(np.int64)
    return x[:, None] + noise * _normal(seed, (rows, 1), 5), y


def _cliff(classes: int, rows: int, noise: float, seed: int) -> tuple[Float, Int]:
    """One input; the classes lie on either side of a gap."""
    u = uniform(seed, Purpose.SPLIT, 6, rows)
    y = np.arange(rows) % 2
    x = np.where(y == 1, 1.0, -1.0) * (0.15 + 0.85 * u)
    return x[:, None] + noise * _normal(seed, (rows, 1), 6), y


# How each is made, and how many classes it has at most.
KINDS: dict[str, tuple[Callable[[int, int, float, int], tuple[Float, Int]], int]] = {
    "circles": (_circles, 5),
    "checkerboard": (_checkerboard, 5),
    "blobs": (_blobs, 5),
    "spiral": (_spiral, 5),
    "moons": (_moons, 2),
    "line": (_line, 2),
    "cliff": (_cliff, 2),
}
