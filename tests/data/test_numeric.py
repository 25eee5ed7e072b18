"""Numeric columns: against scikit-learn and a plain reading of the published formula."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

import steepest as sp
from steepest.data import Preprocessing, Scaler, load_data
from steepest.data.numeric import NumericTransform, normal_quantile, piecewise_linear, smooth_clip
from steepest.errors import DataError, RunError

KINDS = ("robust", "quantile", "piecewise")


def matrix(rows=500, columns=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)) * [1, 1e3, 1e-3, 1] + [0, 1e6, 0, 5]
    x[:, 3] = rng.integers(0, 4, rows)  # ties
    return x


def rtdl(x, edges):
    """The formula as it stands in rtdl_num_embeddings: w x + b, clamped by the place of the bin."""
    weight = 1 / np.diff(edges)
    filled = torch.tensor(x[:, None] * weight - edges[:-1] * weight)
    if filled.shape[1] == 1:
        return filled.numpy()
    parts = (filled[:, :1].clamp_max(1.0), filled[:, 1:-1].clamp(0.0, 1.0))
    return torch.cat([*parts, filled[:, -1:].clamp_min(0.0)], dim=1).numpy()


def test_the_robust_scaler_is_that_of_scikit_learn():
    x = matrix()
    scaler = Scaler.fit("robust", x)
    np.testing.assert_allclose(
        scaler.apply(x, np.float64), RobustScaler().fit_transform(x), rtol=1e-10, atol=1e-12
    )


def test_where_the_quartiles_coincide_half_the_range_is_the_scale_and_a_constant_becomes_0():
    x = np.array([[0.0, 7], [0, 7], [0, 7], [0, 7], [10, 7]])
    scaled = Scaler.fit("robust", x).apply(x, np.float64)
    np.testing.assert_array_equal(scaled, [[0, 0], [0, 0], [0, 0], [0, 0], [2, 0]])


def test_the_smooth_clip_is_the_identity_at_0_and_never_reaches_3():
    x = np.array([-1e300, -3, -1e-4, 0, 1e-4, 3, 1e300])
    found = smooth_clip(x)
    np.testing.assert_allclose(found[2:5], x[2:5], rtol=1e-8)
    np.testing.assert_allclose(found[[1, 5]], [-3 / np.sqrt(2), 3 / np.sqrt(2)])
    np.testing.assert_allclose(found[[0, -1]], [-3, 3])


@pytest.mark.parametrize("rows", [7, 500, 3000])
def test_the_quantile_transform_is_that_of_scikit_learn(rows):
    x = matrix(rows)[:, :3]  # of equal values scikit-learn's quantiles miss some by the last digit
    theirs = QuantileTransformer(
        n_quantiles=min(1000, rows), output_distribution="normal", subsample=None
    ).fit(x)
    new = np.concatenate([x, matrix(50, seed=1)[:, :3] * 1.5])
    ours = NumericTransform.fit("quantile", x, np.arange(3))
    np.testing.assert_allclose(ours.apply(new, np.float64), theirs.transform(new), atol=1e-9)


def test_a_value_that_many_rows_share_gets_the_middle_of_its_shares():
    x = np.array([1.0, 2, 2, 2, 2, 3, 3])[:, None]
    found = NumericTransform.fit("quantile", x, np.arange(1)).apply(x, np.float64)[:, 0]
    np.testing.assert_allclose(found[1:5], norm.ppf((1 / 6 + 4 / 6) / 2))


@pytest.mark.parametrize("bins", [1, 2, 3, 24])
def test_piecewise_encoding_is_that_of_rtdl(bins):
    x = matrix()
    ours = NumericTransform.fit("piecewise", x, np.arange(4), bins)
    edges = [
        np.unique(np.quantile(x[:, i], np.linspace(0, 1, bins + 1))) for i in range(x.shape[1])
    ]
    new = np.concatenate([x, matrix(50, seed=1) * 1.5])
    of_training, expected = (
        np.concatenate([rtdl(rows[:, i], edges[i]) for i in range(4)], axis=1) for rows in (x, new)
    )
    expected = StandardScaler().fit(of_training).transform(expected) / 2
    np.testing.assert_allclose(ours.apply(new, np.float64), expected, atol=1e-6)
    assert ours.outputs == expected.shape[1]


@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 6)), min_size=2, unique=True),
    st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=30),
)
def test_what_becomes_of_a_column_never_turns_its_order_around(training, values):
    quantiles, x = np.sort(training), np.sort(values)
    filled = piecewise_linear(x, quantiles).sum(axis=1)
    ranks = normal_quantile(x, quantiles)
    scale = max(1.0, np.abs(filled).max())
    assert np.all(np.diff(filled) >= -1e-9 * scale)
    assert np.all(np.diff(ranks) >= -1e-9)
    assert np.isfinite(ranks).all()


@pytest.mark.parametrize("kind", KINDS)
def test_words_truth_and_gaps_stay_as_they_are(kind):
    frame = pl.DataFrame(
        {
            "w": ["a", "b", "a", "b"] * 5,
            "n": [1.0, None, 3.0, 4.0] * 5,
            "t": [True, False, True, True] * 5,
            "y": [0, 1, 0, 1] * 5,
        }
    )
    train = load_data(frame, target="y").train
    plain = Preprocessing.fit(train, "none").prepare(train).array
    found = Preprocessing.fit(train, kind, bins=2).prepare(train).block(0, 20)
    np.testing.assert_array_equal(found[:, :2], plain[:, :2])
    np.testing.assert_array_equal(found[:, -2:], plain[:, -2:])
    assert found.shape[1] == plain.shape[1] + (kind == "piecewise")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_run_predicts_alike_after_it_was_saved(kind, as_frame, engine, tmp_path):
    x = matrix(200)
    y = (x[:, 0] + (x[:, 1] - 1e6) / 1e3 > 0).astype(int)
    data = (pl.DataFrame(x, [*"abcd"]) if as_frame else x, y)
    settings = {"scaling": kind, "hidden": (16,), "lr": 0.5, "epochs": 20, "engine": engine}
    run = sp.train(None, data, **settings, check=False, watch=False, progress="none")
    expected = run.classifier.predict_proba(data[0])
    again = sp.load_run(run.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.classifier.predict_proba(data[0]), expected)
    assert run.scores["train"].accuracy > 0.8


def test_the_validation_rows_teach_nothing():
    x = matrix(200)
    y = np.arange(200) % 2
    alone = Preprocessing.fit(load_data((x, y)).train, "piecewise")
    whole = load_data((x, y), validation=(x * 100, y))
    assert alone.to_json() == Preprocessing.fit(whole.train, "piecewise").to_json()


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_column_and_a_tiny_table_are_taken(kind):
    x = np.array([[1.0, 5.0], [2.0, 5.0]])
    train = load_data((x, [0, 1])).train
    found = Preprocessing.fit(train, kind).prepare(train).block(0, 2)
    assert np.isfinite(found).all()
    assert (found[:, -1] == 0).all()
    assert found[0, 0] < found[1, 0] or kind == "piecewise"


def test_images_have_no_columns():
    data = load_data((np.zeros((4, 2, 2), np.float32), [0, 1, 0, 1]))
    with pytest.raises(DataError, match="is for tables and matrices"):
        Preprocessing.fit(data.train, "robust")


def test_a_value_that_is_too_large_is_named_by_its_row():
    train = load_data((pl.DataFrame({"a": [0.0, 1e-30, 2e-30]}), [0, 1, 0])).train
    fitted = Preprocessing.fit(train, "piecewise")
    with pytest.raises(DataError, match=r"row 1, one of 1, holds a value that is too large"):
        fitted.prepare(load_data((pl.DataFrame({"a": [0.0, 1e30]}), [0, 1])).train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "magic"}, "unknown way"),
        ({"places": [3, 1]}, "not columns"),
        ({"places": [0, 9]}, "not columns"),
        ({"knots": [[1.0, 2.0]]}, "lists of quantiles"),
        ({"moments": [[[0.0], [1.0]]]}, "means and deviations"),
        ({"width": 9}, "for rows of shape|give .* features|not columns"),
    ],
)
def test_a_damaged_file_is_refused(change, message, tmp_path):
    x = matrix(60)
    run = sp.train(
        None, (x, np.arange(60) % 2), scaling="piecewise", hidden=(4,), epochs=1, progress="none"
    )
    folder = run.save(tmp_path / "run")
    path = folder / "classifier.json"
    state = json.loads(path.read_text())
    state["preprocessing"]["numeric"] |= change
    path.write_text(json.dumps(state))
    with pytest.raises(RunError, match=message):
        sp.load_run(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_many_rows_are_transformed_in_threads_as_few_are_alone(kind, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    few, many = matrix(500), matrix(150_000, seed=1)
    fitted = NumericTransform.fit(kind, few, np.arange(4))
    whole = fitted.code(many)
    for start in (0, 70_000, 149_990):
        np.testing.assert_array_equal(whole[start : start + 10], fitted.code(many[start:][:10]))
