"""Integers for an Embedding, and models that cannot take their rows."""

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import DataError, ModelError, RecipeError

TOKENS = np.random.default_rng(0).integers(0, 20, (40, 5))
Y = (TOKENS[:, 0] > 9).astype(int)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Sequential(nn.Sequential(nn.Embedding(20, 4)), nn.Flatten())
        self.last = nn.Linear(20, 2)

    def forward(self, x):
        return self.last(self.words(x.long()))


class Columns(nn.Module):
    """The first column is an index, the others are numbers."""

    def __init__(self):
        super().__init__()
        self.kind, self.last = nn.Embedding(20, 4), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.cat([self.kind(x[:, 0].long()), x[:, 1:].float()], dim=1))


def plain(count=20):
    return nn.Sequential(nn.Embedding(count, 4), nn.Flatten(), nn.Linear(20, 2))


def train(model, x, **settings):
    return sp.train(model, (x, Y), epochs=1, progress="none", check=False, **settings)


@pytest.mark.parametrize("kind", [np.int64, np.int32])
@pytest.mark.parametrize("make", [plain, Nested, Columns])
def test_integers_reach_an_embedding_as_they_are(make, kind):
    model = make()
    x = TOKENS.astype(kind)
    if make is Columns:
        x[:, 1] = 99  # no index of the Embedding, and none is asked of it
    run = train(model, x)
    assert run.classifier.preprocessing.scaler.kind == "none"
    expected = run.model(torch.from_numpy(x).long()).softmax(1)
    assert np.allclose(run.classifier.predict_proba(x), expected.detach().numpy(), atol=1e-6)


def test_integers_for_a_linear_layer_are_still_standardised():
    assert train(nn.Linear(5, 2), TOKENS).classifier.preprocessing.scaler.kind == "standardise"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.full((40, 5), 20),
            r"row 0, column 0 is 20, but the model's Embedding has the indices 0",
        ),
        (TOKENS - 20, "is -[0-9]+, but the model's Embedding has the indices 0 .. 19"),
        (TOKENS.astype(np.uint8), r"pass them as X.astype\('int64'\)"),
    ],
)
def test_indices_that_an_embedding_does_not_have_are_refused(x, message):
    with pytest.raises(DataError, match=message):
        train(plain(), x)


@pytest.mark.parametrize(
    ("x", "settings"), [(TOKENS.astype(float), {}), (TOKENS, {"scaling": "standardise"})]
)
def test_numbers_that_are_scaled_are_no_indices(x, settings):
    with pytest.raises(ModelError, match=r"integers that are not scaled: .* scaling = 'none'"):
        train(plain(), x, **settings)


def test_a_convolution_on_flat_rows_is_told_how_to_get_images():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))
    with pytest.raises(ModelError, match=r"64 numbers in a line.*nn.Unflatten\(1, \(1, 8, 8\)\)"):
        sp.train(model, "digits", progress="none")


def test_rows_of_indices_cannot_be_mixed():
    with pytest.raises(RecipeError, match="mixup takes means of rows, and these rows are integers"):
        train(plain(), TOKENS, mixup=0.2)
