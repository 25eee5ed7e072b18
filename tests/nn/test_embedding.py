"""Embeddings of numbers and of categories: their formulas, in front of a net, from a recipe."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest import CategoryEmbedding, PeriodicEmbedding
from steepest.errors import ModelError, RecipeError
from steepest.nn import build, describe


def table(n=300):
    """Five columns: a number, a word of three, a number, a word of twelve, a boolean."""
    random = np.random.default_rng(0)
    x, code = random.normal(size=n), random.integers(0, 12, n)
    return pl.DataFrame(
        {
            "x": x,
            "colour": random.choice(["red", "green", "blue"], n),
            "age": random.integers(0, 90, n),
            "code": [f"k{i}" for i in code],
            "member": random.random(n) < 0.5,
            "label": np.where((np.sin(4 * x) > 0) ^ (code % 2 == 0), "yes", "no"),
        }
    )


def train(data, **settings):
    return sp.train(
        None,
        data,
        **{"target": "label", "epochs": 3, "progress": "none", "hidden": (8,)} | settings,
    )


def test_periodic_functions_by_hand():
    layer = PeriodicEmbedding(4, [1, 3], frequencies=5, outputs=2, sigma=0.7)
    x = torch.randn(6, 4)
    with torch.no_grad():
        found = layer(x).numpy()
    w, b, v, a = (p.detach().numpy().astype(float) for p in layer.parameters())
    np.testing.assert_array_equal(found[:, :4], x.numpy())
    for row in range(6):
        for d in range(2):
            for i, column in enumerate((1, 3)):
                angles = 2 * math.pi * w[:, i] * float(x[row, column]) + b[:, i]
                expected = (v[d, :, i] * np.cos(angles)).sum() + a[d, i]
                assert found[row, 4 + 2 * d + i] == pytest.approx(expected, abs=1e-5)


def test_periodic_functions_begin_as_published():
    layer = PeriodicEmbedding(500, sigma=0.3)
    w, b, v, a = layer.parameters()
    assert w.shape == b.shape == (16, 500)
    assert float(w.detach().std()) == pytest.approx(0.3, rel=0.05)
    assert float(b.detach().abs().max()) == pytest.approx(math.pi, rel=0.01)
    for values in (v, a):
        assert float(values.detach().abs().max()) == pytest.approx(0.25, rel=0.02)
    assert layer.width == layer(torch.zeros(1, 500)).shape[1] == 2000


def test_the_product_with_a_table_is_a_look_up():
    layer = CategoryEmbedding(9, [(1, 5), (6, 8)], 3)
    first, second = torch.randint(0, 4, (20,)), torch.randint(0, 2, (20,))
    x = torch.randn(20, 9)
    x[:, 1:5], x[:, 6:8] = nn.functional.one_hot(first, 4), nn.functional.one_hot(second, 2)
    table = layer.table.detach()
    expected = torch.cat(
        [
            x[:, [0, 5, 8]],
            nn.functional.embedding(first, table[:4]),
            nn.functional.embedding(second, table[4:]),
        ],
        dim=1,
    )
    assert torch.equal(layer(x), expected)
    assert layer.width == 9
    assert (layer(torch.zeros(1, 9)) == 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PeriodicEmbedding(3, [2, 1]),
            "columns must be ascending columns of a row, 0 to 2",
        ),
        (lambda: PeriodicEmbedding(3, [1, 1]), "columns must be ascending"),
        (lambda: PeriodicEmbedding(3, [3]), "columns must be ascending"),
        (lambda: PeriodicEmbedding(3, []), "but has none"),
        (lambda: PeriodicEmbedding(10**12), "features must be 1 to 1048576"),
        (lambda: PeriodicEmbedding(3, frequencies=0), "must be at least 1, but are 0 and 3"),
        (lambda: CategoryEmbedding(3, [(0, 2), (1, 3)]), "spans must be ascending columns"),
        (lambda: CategoryEmbedding(3, [(0, 0)]), "spans must be ascending columns"),
        (lambda: CategoryEmbedding(3, [(1, 4)]), "spans must be ascending columns"),
        (lambda: CategoryEmbedding(10**12, [(0, 10**12)]), "features must be 1 to 1048576"),
        (lambda: CategoryEmbedding(3, [(0, 2)], 0), "outputs must be at least 1"),
    ],
)
def test_what_is_no_embedding_is_refused(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def test_a_recipe_puts_them_in_front():
    settings = {"category_embedding": 5, "numeric_embedding": "periodic", "periodic_sigma": 0.5}
    run = train(table(), **settings, scaling_layer=True)
    _, categories, periodic, scaling, first, *_ = run.model
    # x, colour in 3, age, code in 12, member: code becomes 5 behind the others.
    assert categories.spans == ((5, 17),)
    assert periodic.columns == (0, 4)
    assert periodic.sigma == 0.5
    assert scaling.features == first.in_features == 6 + 5 + 2 * 3
    assert run.info["engine"] == "native"
    again = train(table(), **settings, scaling_layer=True, engine="torch")
    for ours, theirs in zip(run.model.parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_such_a_net_is_saved_and_opened(tmp_path):
    run = train(table(), category_embedding=5, numeric_embedding="periodic", out=tmp_path / "run")
    assert repr(build(describe(run.model))) == repr(run.model)
    again = sp.load_run(tmp_path / "run")
    rows = table().drop("label")
    np.testing.assert_array_equal(
        again.classifier.predict_proba(rows), run.classifier.predict_proba(rows)
    )


def test_the_nets_of_an_ensemble_that_see_numbers_have_them():
    run = train(
        table(), preset="tabular", members=4, numeric_embedding="periodic", category_embedding=8,
        hidden=(8,),
    )  # fmt: skip
    kinds = [[type(m).__name__ for m in member] for member in run.model.members]
    assert all("CategoryEmbedding" in kind for kind in kinds)
    assert 0 < sum("PeriodicEmbedding" in kind for kind in kinds) < len(kinds)


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        (
            ("colour", "label"),
            {"numeric_embedding": "periodic"},
            "no column of the data is one of n",
        ),
        (("x", "colour", "label"), {"category_embedding": 8}, "words with more than 8 levels"),
    ],
)
def test_data_without_such_columns_are_refused(columns, settings, message):
    with pytest.raises(RecipeError, match=message):
        train(table().select(columns), **settings)


def test_bins_have_no_periodic_functions():
    with pytest.raises(RecipeError, match="numeric_embedding and scaling piecewise"):
        sp.Recipe(numeric_embedding="periodic", scaling="piecewise")


def test_a_matrix_has_numbers_alone():
    X = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    run = train((X, X[:, 0] > 0), target=None, numeric_embedding="periodic")
    assert run.model[1].columns == tuple(range(6))
