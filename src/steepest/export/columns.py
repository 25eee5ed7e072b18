"""Preprocessing as operations of an ONNX graph: from the columns of a table, or an array, to rows.

A table has one input a column, (N, 1): float64 for numbers and truth values, NaN where one is
missing, dates and durations in seconds as training reckoned them; text for words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data import (
    MISSING,
    Column,
    JoinedPreprocessing,
    Place,
    Preprocessing,
    Samples,
    Scaler,
    TableEncoder,
    as_numbers,
    as_truth,
)
from steepest.errors import ModelError
from steepest.export.graph import ML, GraphBuilder
from steepest.export.numbers import scaled, transformed


@dataclass(frozen=True)
class GraphInput:
    """What a graph takes. shape: beyond the first, of rows. dtype: None for text."""

    name: str
    dtype: Any
    shape: tuple[int, ...]


def parts_of(preprocessing: Preprocessing) -> tuple[Preprocessing, ...]:
    """The preprocessings side by side, one if it is none of several."""
    if isinstance(preprocessing, JoinedPreprocessing):
        return preprocessing.parts
    return (preprocessing,)


def inputs_of(preprocessing: Preprocessing) -> list[GraphInput]:
    """What the graph takes, in order."""
    encoder, first = preprocessing.encoder, parts_of(preprocessing)[0]
    if encoder is not None:
        return [
            GraphInput(c.name, None if c.kind == "words" else np.float64, (1,))
            for c in encoder.columns
        ]
    shape = first.shape if first.numeric is None else (first.numeric.width,)
    if preprocessing.integers:
        return [GraphInput("rows", np.int64, shape)]
    # Matrices are scaled in float64, images of bytes or float32 in the type of the net.
    return [GraphInput("rows", np.float64 if len(shape) == 1 else np.float32, shape)]


def prepared(graph: GraphBuilder, preprocessing: Preprocessing, dtype: Any) -> str:
    """The rows as `Preprocessing.prepare` gives them, (N, ...) of this type."""
    if preprocessing.integers:
        return "rows"
    parts = parts_of(preprocessing)
    rows = [_prepared_part(graph, part, dtype) for part in parts]
    return rows[0] if len(rows) == 1 else graph.add("Concat", *rows, axis=1)


def _prepared_part(graph: GraphBuilder, part: Preprocessing, dtype: Any) -> str:
    if part.encoder is not None:
        x = _encoded(graph, part.encoder)
    elif len(part.shape) == 1:
        x = scaled(graph, "rows", part.scaler)
    else:
        return scaled(graph, graph.cast("rows", dtype), part.scaler, dtype)
    if part.numeric is not None:
        x = transformed(graph, x, part.numeric)
    return graph.cast(x, dtype)


def _encoded(graph: GraphBuilder, encoder: TableEncoder) -> str:
    """The features of a table, (N, F) float64, as `TableEncoder.transform` makes them."""
    blocks: list[str] = []
    widths: list[tuple[Column, int]] = []  # in the order of the blocks
    numbers = [c for c in encoder.columns if c.kind == "number"]
    if numbers:
        blocks += _numbers(graph, numbers, encoder.scaler)
    for column in encoder.columns:
        if column.kind == "boolean":
            gaps = graph.add("IsNaN", column.name)
            value = graph.add("Where", gaps, graph.constant(0.0), column.name)
            blocks += [value, *([graph.cast(gaps, np.float64)] if column.missing else [])]
        elif column.kind == "words":
            blocks.append(_one_hot(graph, column))
        if column.kind != "number":
            widths.append((column, len(column.features)))
    features = blocks[0] if len(blocks) == 1 else graph.add("Concat", *blocks, axis=1)
    order = list(_order(encoder, numbers, widths))
    return graph.add("Gather", features, graph.constant(order, np.int64), axis=1)


def _numbers(graph: GraphBuilder, columns: list[Column], scaler: Scaler) -> list[str]:
    """The numeric columns side by side, gaps filled and scaled, and where the gaps are."""
    x = columns[0].name
    if len(columns) > 1:
        x = graph.add("Concat", *(c.name for c in columns), axis=1)
    gaps = graph.add("IsNaN", x)
    filled = graph.add("Where", gaps, graph.constant([c.mean for c in columns]), x)
    return [scaled(graph, filled, scaler), graph.cast(gaps, np.float64)]


def _order(
    encoder: TableEncoder, numbers: list[Column], others: list[tuple[Column, int]]
) -> Iterator[int]:
    """For each feature the place in the blocks: numbers, their gaps, the other columns."""
    places = {column.name: i for i, column in enumerate(numbers)}
    at = 2 * len(numbers)
    starts = {}
    for column, width in others:
        starts[column.name] = at
        at += width
    for column in encoder.columns:
        if column.kind == "number":
            yield places[column.name]
            if column.missing:
                yield len(numbers) + places[column.name]
        else:
            start = starts[column.name]
            yield from range(start, start + len(column.features))


def _one_hot(graph: GraphBuilder, column: Column) -> str:
    """A 1 in the feature of the level, of the rest or of what is missing, (N, features)."""
    unseen = len(column.levels)
    missing = unseen + 1
    codes = _codes(column)
    code = graph.add(
        "LabelEncoder",
        column.name,
        domain=ML,
        keys_strings=list(codes),
        values_int64s=[missing if code is None else code for code in codes.values()],
        default_int64=unseen,
    )
    wanted = [*range(unseen), *[unseen] * column.other, *[missing] * bool(column.missing)]
    same = graph.add("Equal", code, graph.constant(wanted, np.int64))
    return graph.cast(same, np.float64)


def _codes(column: Column) -> dict[str, int | None]:
    """The index of the level that a word spells, None where it says that one is missing."""
    codes: dict[str, int | None] = {level: i for i, level in enumerate(column.levels)}
    for i, level in enumerate(column.levels):
        codes.setdefault(level.strip(), i)
    for mark in MISSING:
        codes.setdefault(mark, None)
    return codes


def missing_word(column: Column) -> str | None:
    """What stands for a missing word of this column: "", unless that is a word of it."""
    return next((word for word, code in _codes(column).items() if code is None), None)


def feeds(preprocessing: Preprocessing, samples: Samples) -> dict[str, NDArray[Any]]:
    """The graph's inputs for rows in the types of the training, as they would be given to it."""
    rows, place = samples.rows, Place(samples.source, samples.rows)
    taken = samples.inputs if rows is None else samples.inputs[rows]
    encoder = preprocessing.encoder
    if encoder is None:
        given = inputs_of(preprocessing)[0]
        return {given.name: np.ascontiguousarray(taken, dtype=given.dtype)}
    assert isinstance(taken, pl.DataFrame)
    found = {}
    for column in encoder.columns:
        series = taken[column.name]
        match column.kind:
            case "words":
                values = _words(series.cast(pl.String), column)
            case "boolean":
                values = as_truth(series, place)
            case _:
                values = as_numbers(series, place, column.quantity, column.decimal)
        found[column.name] = values.reshape(-1, 1)
    return found


def _words(text: pl.Series, column: Column) -> NDArray[Any]:
    """Words without blanks around them, but for those that training had so."""
    mark = missing_word(column)
    if mark is None and text.null_count():
        raise ModelError(
            f"column {column.name!r} has words for all that could say that a value is missing"
        )
    known = text.is_in(list(column.levels))
    kept = text.zip_with(known.fill_null(False), text.str.strip_chars())
    return np.array(kept.fill_null(mark or "").to_list(), dtype=object)
