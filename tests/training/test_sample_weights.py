"""Rows with weights, from the samples to the scores."""

import numpy as np
import pytest

import steepest as sp
from steepest.errors import DataError, RecipeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
Y = (X[:, 0] > 0).astype(int)


def samples(weights, labels=Y):
    return sp.Samples(X, labels, "test", weights=weights)


def train(data, **settings):
    return sp.train(None, data, progress="none", check=False, epochs=5, lr=0.1, **settings)


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_rows_that_weigh_nothing_teach_nothing(engine):
    """Half of the rows have wrong labels and the weight 0."""
    wrong = np.arange(200) % 2 == 0
    labels = np.where(wrong, 1 - Y, Y)
    run = train(samples(~wrong, labels=labels), engine=engine)
    assert run.evaluate((X[~wrong], Y[~wrong])).accuracy > 0.9
    assert run.history["val_acc"][-1] > 0.9  # the wrong ones do not count there either
    assert train((X, labels), engine=engine).history["val_acc"][-1] < 0.7


def test_weights_go_with_their_rows_through_a_split():
    data = samples(np.arange(200) + 1.0)
    parts = sp.split(sp.load_data(data), validation=0.3, seed=4)
    for _, part in parts.parts():
        assert np.array_equal(part.weights, part.rows + 1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(199), r"test: 200 rows, but weights of shape \(199,\)"),
        (np.r_[np.ones(199), -1], "at least 0 and finite, but that of row 199 is -1.0"),
        (np.r_[np.nan, np.ones(199)], "that of row 0 is nan"),
        (np.zeros(200), "all weights are 0"),
    ],
)
def test_what_is_no_weight_is_refused(weights, message):
    with pytest.raises(DataError, match=message):
        train(samples(weights))


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_rows_that_are_mixed_have_no_weight(mixing):
    rows = {"mixup": X, "cutmix": np.zeros((200, 1, 4, 4), np.float32)}[mixing]
    with pytest.raises(RecipeError, match="leave out mixup and cutmix, or the weights"):
        train(sp.Samples(rows, Y, "test", weights=np.ones(200)), **{mixing: 0.5})


def test_a_run_goes_on_only_with_its_weights(tmp_path):
    train(samples(np.arange(200) + 1.0), out=tmp_path / "run")
    with pytest.raises(sp.SteepestError, match="the training rows are not those of the checkpoint"):
        sp.resume(tmp_path / "run", data=samples(np.ones(200)), epochs=6, progress="none")
