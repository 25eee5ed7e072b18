"""Rows that are kept as bin and value are, as a net takes them, what the formula gives."""

import numpy as np
import polars as pl
import pytest
import torch

import steepest as sp
from steepest.data import Inputs, JoinedPreprocessing, Preprocessing, Scaler, load_data
from steepest.data.numeric import NumericTransform, piecewise_linear
from steepest.engine import Rows
from steepest.errors import DataError

PLACES = np.array([0, 1, 3, 4, 6])  # columns 2 and 5 are no numbers


def matrix(rows=400, seed=0):
    """A constant column, one of three values, one that is nearly always 0, and beyond the edges."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 7))
    x[:, 1] = 2.5
    x[:, 3] = rng.integers(0, 3, rows)
    x[:, 4] = rng.random(rows) < 0.02
    return x * (1 + seed)


def by_formula(transform, x):
    columns = {place: x[:, [place]] for place in range(x.shape[1])}
    for place, edges, (mean, inverse) in zip(
        transform.places, transform.knots, transform.moments, strict=True
    ):
        columns[int(place)] = (piecewise_linear(x[:, place], edges) - mean) * inverse
    return np.concatenate(list(columns.values()), axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [1, 2, 24])
def test_all_columns_are_those_of_the_formula_to_the_bit(bins, dtype):
    transform = NumericTransform.fit("piecewise", matrix(), PLACES, bins)
    edges = np.repeat(np.concatenate(transform.knots)[:, None], 7, axis=1)
    for x in (matrix(), matrix(seed=2), edges):  # on the edges themselves, too
        expected = by_formula(transform, x).astype(dtype)
        kept, columns = transform.code(x, dtype), transform.columns
        np.testing.assert_array_equal(columns.expand(kept), expected)
        np.testing.assert_array_equal(transform.apply(x, dtype), expected)
        inputs = Inputs(kept, None, Scaler(), piecewise=columns)
        assert inputs.shape == expected.shape[1:]
        np.testing.assert_array_equal(inputs.block(3, 9), expected[3:9])
        rows = Rows(inputs, torch.empty(0, dtype=torch.from_numpy(expected).dtype))
        some = torch.tensor([4, 0, 4])
        np.testing.assert_array_equal(rows[some].numpy(), expected[some])


def test_a_row_keeps_two_numbers_of_a_feature():
    x = np.random.default_rng(0).standard_normal((1000, 20))
    prepared = Preprocessing.fit(load_data((x, x[:, 0] > 0)).train, "piecewise")
    inputs = prepared.prepare(load_data((x, x[:, 0] > 0)).train)
    assert inputs.array.shape == (1000, 40)
    assert inputs.shape == prepared.shape == (480,)


def test_views_side_by_side_are_each_their_own():
    frame = pl.DataFrame(
        {"w": ["a", "b"] * 30, "n": np.arange(60.0), "m": np.arange(60) % 7, "y": [0, 1] * 30}
    )
    train = load_data(frame, target="y").train
    kinds = ("quantile", "piecewise", "robust", "piecewise")
    parts = [Preprocessing.fit(train, kind, bins=5) for kind in kinds]
    joined = JoinedPreprocessing.of(parts)
    inputs = joined.prepare(train)
    assert inputs.shape == joined.shape
    for part, span in zip(parts, joined.spans, strict=True):
        own = part.prepare(train)
        found = inputs.columns(*span)
        assert np.shares_memory(found.array, inputs.array)
        assert (found.piecewise is None) == (own.piecewise is None)
        np.testing.assert_array_equal(found.array, own.array)
        np.testing.assert_array_equal(found.block(0, 60), own.block(0, 60))
    whole = np.concatenate([part.prepare(train).block(0, 60) for part in parts], axis=1)
    np.testing.assert_array_equal(inputs.block(0, 60), whole)


def test_a_value_that_is_too_large_is_told_with_its_place():
    x = np.random.default_rng(0).standard_normal((60, 2))
    run = sp.train(
        *(None, (x, x[:, 0] > 0)), scaling="piecewise", hidden=(4,), epochs=1, progress="none"
    )
    x[7, 1] = 1e300
    with pytest.raises(DataError, match="row 7, column 1 is 1e\\+300"):
        run.classifier.predict(x)
