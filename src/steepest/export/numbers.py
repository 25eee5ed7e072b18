"""The transforms of data/numeric.py as operations of an ONNX graph, in float64 as there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.data import NumericTransform, Scaler
from steepest.export.graph import GraphBuilder

Float64Array = NDArray[np.float64]

# Wichura's algorithm AS 241 (Applied Statistics 37, 1988), PPND16: numerators and denominators of
# the middle, |p - 1/2| <= 0.425, and of the tails down to e^-25, in ascending powers.
_MIDDLE, _HALF_WIDTH, _TAIL = 0.180625, 0.425, 1.6
_MIDDLE_ABOVE = np.array(
    [
        *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3),
        *(1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4),
        *(3.3430575583588128105e4, 2.5090809287301226727e3),
    ]
)
_MIDDLE_BELOW = np.array(
    [
        *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
        *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4),
        5.2264952788528545610e3,
    ]
)
_TAIL_ABOVE = np.array(
    [
        *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0),
        *(3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1),
        *(2.27238449892691845833e-2, 7.74545014278341407640e-4),
    ]
)
_TAIL_BELOW = np.array(
    [
        *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
        *(1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4),
        1.05075007164441684324e-9,
    ]
)
# As in data/numeric.py.
_EDGE, _CLIP = 1e-7, 3.0
# Its square is finite, and the clip of what lies beyond is 3 in all digits.
_LARGEST = 1e100


def scaled(graph: GraphBuilder, x: str, scaler: Scaler, dtype: Any = np.float64) -> str:
    """(x - offset) * factor + shift. dtype: of x."""
    if scaler.is_identity:
        return x
    x = graph.add("Sub", x, graph.constant(scaler.offset, dtype))
    x = graph.add("Mul", x, graph.constant(scaler.factor, dtype))
    return graph.add("Add", x, graph.constant(scaler.shift, dtype))


def transformed(graph: GraphBuilder, x: str, transform: NumericTransform) -> str:
    """The columns of x, (N, width) float64, as `NumericTransform.apply` makes them."""
    places = transform.places
    if not len(places):
        return x
    own = graph.add("Gather", x, graph.constant(places, np.int64), axis=1)
    match transform.kind:
        case "robust":
            changed, widths = _smooth_clip(graph, own), [1] * len(places)
        case "quantile":
            changed, widths = _normal_quantile(graph, own, transform.knots), [1] * len(places)
        case _:
            changed = _piecewise_linear(graph, own, transform)
            widths = [moments.shape[1] for moments in transform.moments]
    both = graph.add("Concat", changed, x, axis=1)
    starts = dict(zip(places.tolist(), np.cumsum([0, *widths]).tolist(), strict=False))
    order: list[int] = []
    for place in range(transform.width):
        if place in starts:
            width = widths[list(starts).index(place)]
            order += range(starts[place], starts[place] + width)
        else:
            order.append(sum(widths) + place)
    return graph.add("Gather", both, graph.constant(order, np.int64), axis=1)


def _smooth_clip(graph: GraphBuilder, x: str) -> str:
    x = graph.add("Clip", x, graph.constant(-_LARGEST), graph.constant(_LARGEST))
    share = graph.add("Div", x, graph.constant(_CLIP))
    square = graph.add("Add", graph.add("Mul", share, share), graph.constant(1.0))
    return graph.add("Div", x, graph.add("Sqrt", square))


def _piecewise_linear(graph: GraphBuilder, x: str, transform: NumericTransform) -> str:
    """All bins of all columns side by side: (x - edge) / width, kept within the bin's bounds."""
    columns: list[int] = []
    starts: list[float] = []
    sizes: list[float] = []
    least: list[float] = []
    most: list[float] = []
    for i, edges in enumerate(transform.knots):
        bins = max(1, len(edges) - 1)
        columns += [i] * bins
        constant = len(edges) < 2
        starts += [0.0] if constant else edges[:-1].tolist()
        sizes += [1.0] if constant else np.diff(edges).tolist()
        # The first and the last bin go on beyond their edges; a constant column is 0.
        least += [0.0] if constant else [-np.inf, *[0.0] * (bins - 1)]
        most += [0.0] if constant else [*[1.0] * (bins - 1), np.inf]
    spread = graph.add("Gather", x, graph.constant(columns, np.int64), axis=1)
    filled = graph.add("Sub", spread, graph.constant(starts))
    filled = graph.add("Div", filled, graph.constant(sizes))
    filled = graph.add("Max", filled, graph.constant(least))
    filled = graph.add("Min", filled, graph.constant(most))
    means, inverses = np.concatenate(transform.moments, axis=1)
    filled = graph.add("Sub", filled, graph.constant(means))
    return graph.add("Mul", filled, graph.constant(inverses))


def _normal_quantile(graph: GraphBuilder, x: str, knots: tuple[Float64Array, ...]) -> str:
    share = _share_below(graph, x, knots)
    # Where a column is constant, 1/2, whose normal quantile is 0.
    constant = graph.constant([own[0] == own[-1] for own in knots], np.bool_)
    share = graph.add("Where", constant, graph.constant(0.5), share)
    least = _EDGE - np.spacing(1)
    share = graph.add("Clip", share, graph.constant(least), graph.constant(1 - least))
    return _inverse_normal(graph, share)


def _share_below(graph: GraphBuilder, x: str, knots: tuple[Float64Array, ...]) -> str:
    """The share of training values below x, by column: a table looked up by bisection."""
    tables = [_shares_of(own) for own in knots]
    size = 1 << max(len(table[0]) for table in tables).bit_length()  # above every length
    values, bases, equal, above, slopes = (
        np.stack([_padded(table[i], size, filler) for table in tables]).ravel()
        for i, filler in enumerate((np.inf, 0.0, 0.0, 0.0, 0.0))
    )
    first = graph.constant(np.arange(len(knots)) * size, np.int64)
    found = graph.constant(np.zeros(len(knots)), np.int64)  # how many values are at most x
    ascending = graph.constant(values)
    step = size // 2
    while step:
        tried = graph.add("Add", found, graph.constant(step, np.int64))
        at = graph.add("Add", tried, graph.constant(np.arange(len(knots)) * size - 1, np.int64))
        below = graph.add("LessOrEqual", graph.add("Gather", ascending, at), x)
        found = graph.add("Where", below, tried, found)
        step //= 2
    at = graph.add("Add", found, first)
    base, tie, right, slope = (
        graph.add("Gather", graph.constant(table), at) for table in (bases, equal, above, slopes)
    )
    between = graph.add("Mul", graph.add("Sub", x, base), slope)
    share = graph.add("Where", graph.add("Equal", x, base), tie, graph.add("Add", between, right))
    lowest, highest = ([own[i] for own in knots] for i in (0, -1))
    zero, one, edge = graph.constant(0.0), graph.constant(1.0), graph.constant(_EDGE)
    under = graph.add("Less", graph.add("Sub", x, edge), graph.constant(lowest))
    over = graph.add("Greater", graph.add("Add", x, edge), graph.constant(highest))
    return graph.add("Where", over, one, graph.add("Where", under, zero, share))


def _shares_of(knots: Float64Array) -> tuple[Float64Array, ...]:
    """Of one column: its distinct values, and by how many of them are at most x what to reckon.

    With b the last value at most x: the share at b, the share just above it, and the slope there.
    """
    values, first = np.unique(knots, return_index=True)
    last = np.append(first[1:], len(knots)) - 1
    shares = np.linspace(0, 1, len(knots))
    low, high = shares[first], shares[last]
    slopes = np.append((low[1:] - high[:-1]) / np.diff(values), 0.0)
    before = np.zeros(1)
    bases = np.append(values[:1], values)
    return (
        values,
        bases,
        np.append(before, (low + high) / 2),
        np.append(before, high),
        np.append(before, slopes),
    )


def _padded(values: Float64Array, size: int, filler: float) -> Float64Array:
    return np.append(values, np.full(size - len(values), filler))


def _inverse_normal(graph: GraphBuilder, p: str) -> str:
    """The normal quantile of p, within e^-25 and 1 - e^-25."""
    half, one = graph.constant(0.5), graph.constant(1.0)
    q = graph.add("Sub", p, half)
    r = graph.add("Sub", graph.constant(_MIDDLE), graph.add("Mul", q, q))
    above = graph.add("Mul", q, graph.polynomial(r, _MIDDLE_ABOVE))
    middle = graph.add("Div", above, graph.polynomial(r, _MIDDLE_BELOW))
    rest = graph.add("Min", p, graph.add("Sub", one, p))
    r = graph.add("Sqrt", graph.add("Neg", graph.add("Log", rest)))
    r = graph.add("Sub", r, graph.constant(_TAIL))
    tail = graph.add("Div", graph.polynomial(r, _TAIL_ABOVE), graph.polynomial(r, _TAIL_BELOW))
    tail = graph.add("Mul", graph.add("Sign", q), tail)
    inside = graph.add("LessOrEqual", graph.add("Abs", q), graph.constant(_HALF_WIDTH))
    return graph.add("Where", inside, middle, tail)
