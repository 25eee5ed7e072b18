"""Calls as users of scikit-learn write them: understood, or answered with the right call."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import SteepestError, SteepestWarning

X = np.arange(24, dtype=np.float32).reshape(12, 2)
Y = np.arange(12) % 2


@pytest.fixture(scope="module")
def run():
    return sp.train(None, (X, Y), epochs=1, progress="none", validation=0.0)


@pytest.mark.parametrize("labels", [Y, Y.tolist(), torch.tensor(Y), pl.Series(Y)])
def test_score_and_evaluate_take_rows_and_labels_apart(run, labels):
    expected = float((run.classifier.predict(X) == Y).mean())
    assert run.classifier.score(X, labels) == expected
    assert run.classifier.score((X, labels)) == expected
    assert run.classifier.evaluate(X, labels).accuracy == expected
    assert run.evaluate(X, labels).accuracy == expected


def test_score_takes_a_frame_and_its_target(run):
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": Y})
    classifier = sp.train(None, frame, target="kind", epochs=1, progress="none").classifier
    assert classifier.score(frame, target="kind") == classifier.score(frame, Y)


def train(*arguments, **settings):
    return lambda: sp.train(*arguments, epochs=1, progress="none", **settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            train("digits"),
            "first argument.* is a str; data come second.*: train\\(None, 'digits'\\)",
        ),
        (
            train(X, Y),
            r"first argument.* is a ndarray; data come second.*: train\(None, \(X, y\)\)",
        ),
        (train((X, Y)), r"first argument.* is a tuple; .* train\(None, \(X, y\)\)"),
        (train(nn.Linear, (X, Y)), r"the model is the class Linear: pass an object of it"),
        (
            train(None, X, Y),
            r"third argument is the recipe, but it is a ndarray.*\(model, \(X, y\)",
        ),
        (train(None, (X, Y), {"lr": 0.1}), "third argument is the recipe, but it is a dict"),
        (train(None, X, y=Y), r"no setting 'y': X and y go together, train\(model, \(X, y\)\)"),
        (train(None, X, labels=Y), r"no setting 'labels': X and y go together"),
        (train(None, X), r"a ndarray alone has no labels; pass \(X, y\)"),
        (train(None, (X, Y[:3])), "12 rows of inputs, but 3 labels"),
        (lambda: sp.find_lr(None, X, Y), "third argument is the recipe, but it is a ndarray"),
        (lambda: sp.find_lr(X, Y), "the model, the first argument"),
        (lambda: sp.load_data(X, Y), r"second argument is a ndarray.* load_data\(\(X, y\)\)"),
        (lambda: sp.load_data("d.csv", "y"), r"second argument is a str.* target='species'"),
        (lambda: sp.load_data(("digits.csv", "y")), "there is no file or data set 'digits.csv'"),
    ],
)
def test_training_with_the_arguments_of_others_names_the_right_call(call, message):
    with pytest.raises(SteepestError, match=message):
        call()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "cannot load a NoneType"),
        (7, "cannot load a int"),
        ("nowhere.csv", "there is no file or data set 'nowhere.csv'"),
        ([], "one row x.reshape"),
        (X[0], r"one feature is x.reshape\(-1, 1\), one row x.reshape\(1, -1\)"),
        ([["a", "b"]], "an array of numbers is needed"),
        ([[1, 2], [3]], "rows of one length are needed"),
        ({"a": 1}, "cannot load a dict with the keys 'a'"),
        (X[:, :1], r"has rows of shape \(1,\), but training had \(2,\)"),
        (np.array([[1.0, np.nan]]), "row 0, column 1 is nan"),
        (X + 1j, "an array of numbers is needed, not of complex"),
        (X * np.float64(1e300), "row 0, column 1 is 1e[+]300, one of 23 values that are too large"),
    ],
)
def test_what_cannot_be_predicted_is_named(run, rows, message):
    for call in (run.classifier.predict, run.classifier.predict_proba):
        with pytest.raises(SteepestError, match=message):
            call(rows)


def test_one_image_alone_is_said_how_to_pass():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    images = np.random.default_rng(0).random((8, 1, 4, 4), dtype=np.float32)
    run = sp.train(model, (images, np.arange(8) % 2), epochs=1, progress="none")
    with pytest.raises(SteepestError, match=r"one row alone is x\[None\]"):
        run.classifier.predict(images[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X,), r"a ndarray alone has no labels; pass \(X, y\)"),
        ((X, Y[:3]), "12 rows of inputs, but 3 labels"),
        ((X, ["a"] * 12), "row 0 has the label 'a', which no training row has"),
        ((None, Y), "inputs have the shape|an array of numbers is needed"),
    ],
)
def test_what_cannot_be_evaluated_is_named(run, arguments, message):
    for call in (run.evaluate, run.classifier.evaluate, run.classifier.score):
        with pytest.raises(SteepestError, match=message):
            call(*arguments)


def test_a_column_named_as_y_is_told_from_labels(run, tmp_path):
    pl.DataFrame({"a": [1, 2], "y": [0, 1]}).write_csv(tmp_path / "rows.csv")
    with pytest.raises(SteepestError, match=r"name the column of the class as target=\.\.\."):
        run.evaluate(tmp_path / "rows.csv", "y")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "evaluate", "run"])
def test_warnings_name_the_line_that_asked(method):
    frame = pl.DataFrame({"w": ["x", "y"] * 20, "y": [0, 1] * 20})
    run = sp.train(None, frame, target="y", epochs=1, validation=0.0, progress="none")
    asked = run if method == "run" else run.classifier
    ask = getattr(asked, "evaluate" if method == "run" else method)
    target = {} if method.startswith("predict") else {"target": "y"}
    with pytest.warns(SteepestWarning) as told:
        ask(pl.DataFrame({"w": ["x", "z"], "y": [0, 1]}), **target)
    assert [warning.filename for warning in told] == [__file__]


def test_a_class_is_not_decided_on_nan():
    model = nn.Linear(2, 2)
    classifier = sp.train(model, (X, Y), epochs=1, progress="none").classifier
    with torch.no_grad():
        model.weight.fill_(torch.nan)
    for ask in (classifier.predict, classifier.predict_proba):
        with pytest.raises(SteepestError, match="outputs are not finite for 12 of 12 rows"):
            ask(X)
