"""Integers for an Embedding, and models that cannot take their rows."""

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import steepest as sp
from steepest.errors import DataError, ModelError, RecipeError
from steepest.training.rows_tried import how_taken

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


class LooksUp(nn.Module):
    """Looks up by a function of (module, rows)."""

    def __init__(self, look, count=20):
        super().__init__()
        self.emb, self.bag = nn.Embedding(count, 4), nn.EmbeddingBag(count, 20)
        self.table, self.lin = nn.Parameter(torch.ones(count, 4)), nn.Linear(4, 4)
        self.last, self.look = nn.LazyLinear(2), look

    def forward(self, x):
        return self.last(self.look(self, x).flatten(1))


def copied(x):
    return torch.empty(x.shape, dtype=torch.long).copy_(x)


BY_VALUE = {
    "int": lambda m, x: m.emb(x.int()),
    "one more": lambda m, x: m.emb(x + 1),
    "remainder": lambda m, x: m.emb(x.long() % 20),
    "rounded": lambda m, x: m.emb(x.float().round().long()),
    "chosen": lambda m, x: m.emb(torch.where(x > 3, x, 0).long()),
    "copied": lambda m, x: m.emb(copied(x)),
    "offsets": lambda m, x: m.emb(x.long() + torch.arange(5)),
    "function": lambda m, x: F.embedding(x.long(), m.table),
    "indexing": lambda m, x: m.table[x.long()],
    "index_select": lambda m, x: m.table.index_select(0, x.long().flatten()).reshape(len(x), -1),
    "one-hot": lambda m, x: F.one_hot(x.long(), 20).float(),
    "bag": lambda m, x: m.bag(x.long()),
    "numbers first": lambda m, x: torch.cat([m.lin(x[:, 1:]), m.emb(x[:, 0].long())], 1),
    "positions too": lambda m, x: m.emb(x.long()) + m.emb(x.ne(0).cumsum(1)),
}
NOT_BY_VALUE = {
    "position": lambda m, x: m.emb(torch.arange(5)) + x.float()[..., None],
    "likeliest": lambda m, x: m.emb(m.lin(x[:, 1:].float()).argmax(1)),
    "order of columns": lambda m, x: x[:, torch.tensor([1, 0])].float(),
}


def plain(count=20):
    return nn.Sequential(nn.Embedding(count, 4), nn.Flatten(), nn.Linear(20, 2))


def notes(run):
    """What the summary says of look-ups."""
    lines = run.record.table("events")["text"].to_list()
    return "; ".join(line for line in lines if "takes for indices" in line)


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


@pytest.mark.parametrize("name", BY_VALUE)
def test_what_is_looked_up_by_the_values_of_the_rows_is_not_scaled(name):
    run = train(LooksUp(BY_VALUE[name], 30), TOKENS)
    preprocessing = run.classifier.preprocessing
    assert preprocessing.scaler.kind == "none"
    assert preprocessing.integers == (name != "numbers first")  # a linear layer takes no integers


@pytest.mark.parametrize("name", NOT_BY_VALUE)
def test_other_look_ups_change_nothing(name):
    run = train(LooksUp(NOT_BY_VALUE[name]), TOKENS)
    assert run.classifier.preprocessing.scaler.kind == "standardise"
    assert not notes(run)


@pytest.mark.parametrize("x", [TOKENS.astype(float), TOKENS.astype(np.uint8)])
def test_whole_numbers_that_the_model_makes_integers_of_are_left_as_they_are(x):
    run = train(LooksUp(lambda m, x: m.emb(x.long())), x)
    preprocessing = run.classifier.preprocessing
    assert (preprocessing.scaler.kind, preprocessing.integers) == ("none", False)
    assert (run.classifier.predict(x) == run.classifier.predict(TOKENS)).all()


def test_columns_of_a_frame_that_are_looked_up_are_left_as_they_are():
    run = train(LooksUp(lambda m, x: m.emb(x.long())), pl.DataFrame(TOKENS))
    assert "values among them that the model takes for indices of its Embedding" in notes(run)
    wrong = pl.DataFrame(TOKENS + 20)
    with pytest.raises(DataError, match="row 0, column 0 is"):
        run.classifier.predict(wrong)


@pytest.mark.parametrize(
    ("look", "x", "settings", "said"),
    [
        (lambda m, x: m.emb(torch.bucketize(x, torch.arange(9))), TOKENS, {}, "by a search"),
        (lambda m, x: m.emb(x.long().clamp(0, 19)), TOKENS + 0.5, {}, "by rounding"),
        (
            lambda m, x: m.emb(x.long().clamp(0, 19)),
            TOKENS,
            {"scaling": "standardise"},
            "scaling = 'standardise' changes values among them",
        ),
    ],
)
def test_where_it_cannot_be_told_the_summary_says_so(look, x, settings, said):
    run = train(LooksUp(look), x, **settings)
    assert run.classifier.preprocessing.scaler.kind == "standardise"
    assert said in notes(run)


def test_a_trial_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Embedding(20, 4, max_norm=0.1), nn.Flatten(), nn.Linear(20, 2))
    before = {name: t.clone() for name, t in model.state_dict().items()}
    how_taken(model, sp.load_data((TOKENS, Y)).train, "auto")
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    lazy = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.LazyLinear(2))
    assert how_taken(lazy, sp.load_data((TOKENS, Y)).train, "auto").integers
    assert type(lazy[2]) is nn.LazyLinear


def test_integers_that_nothing_looks_up_become_numbers_where_nothing_is_scaled():
    for model in (None, nn.Linear(5, 2)):
        run = train(model, TOKENS, scaling="none")
        assert run.info["engine"] == "native"
        assert (run.classifier.predict(TOKENS) == run.classifier.predict(TOKENS * 1.0)).all()


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
    ("look", "count", "said"),
    [
        (lambda m, x: m.emb(x + 1), 20, r"row \d+ gives the index 20, but the model's Embedding"),
        (lambda m, x: m.emb(x[:, 3:] - 1), 20, r"row \d+ gives the index -1"),
        (lambda m, x: m.emb(x[:, 3:]), 19, r"row \d+, column [34] is 19, but"),
        (lambda m, x: m.table[x], 19, "is 19, but the model's table has the indices 0 .. 18"),
        (lambda m, x: m.bag(x), 19, "is 19, but the model's EmbeddingBag has"),
    ],
)
def test_computed_indices_that_are_not_there_are_refused(look, count, said):
    with pytest.raises(DataError, match=said):
        train(LooksUp(look, count), TOKENS)


def test_rows_are_named_by_their_number_in_the_source():
    x = TOKENS.astype(np.int32)
    x[7, 3] = 20
    given = sp.load_data((x, Y)).train.take(np.array([1, 9, 7, 4]))
    with pytest.raises(DataError, match="row 7, column 3 is 20"):
        sp.train(plain(), given, epochs=1, validation=0.0, progress="none")
    good = sp.load_data((TOKENS, Y)).train.take(np.arange(20))
    with pytest.raises(DataError, match="row 7, column 3 is 20"):
        train_parts(good, given)


def train_parts(first, validation):
    return sp.train(plain(), sp.Dataset(first, validation), epochs=1, progress="none", check=False)


@pytest.mark.parametrize("rows", [2, 3000])
def test_rows_to_predict_or_evaluate_with_indices_that_are_not_there_are_named(rows):
    run = train(plain(), TOKENS)
    x = np.ones((rows, 5), int)
    x[-1, 2] = 25
    message = (
        f"row {rows - 1}, column 2 is 25, but the model's Embedding has the indices 0 .. 19: number"
    )
    for ask in (run.classifier.predict, run.classifier.predict_proba):
        with pytest.raises(DataError, match=message):
            ask(x)
    for measure in (run.classifier.score, run.classifier.evaluate, run.evaluate):
        with pytest.raises(DataError, match=message):
            measure(x, np.arange(rows) % 2)


def test_a_row_at_which_the_model_raises_is_named():
    run = train(LooksUp(BY_VALUE["one-hot"]), TOKENS)
    x = TOKENS.copy()
    x[4, 0] = 77
    with pytest.raises(DataError, match="cannot take row 4: Class values must be smaller"):
        run.classifier.predict(x)


def test_numbers_to_predict_become_the_integers_of_the_training(tmp_path):
    run = train(plain(), TOKENS)
    run.save(tmp_path / "run")
    expected = run.classifier.predict(TOKENS)
    broken = TOKENS * 1.0
    broken[2, 1] = 0.5
    for classifier in (run.classifier, sp.load_run(tmp_path / "run").classifier):
        for x in (TOKENS * 1.0, TOKENS.astype(np.uint8), TOKENS.tolist(), pl.DataFrame(TOKENS)):
            assert (classifier.predict(x) == expected).all()
        with pytest.raises(DataError, match=r"row 2, column 1 is 0.5, one of 1 .* not whole"):
            classifier.predict(broken)


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


@pytest.mark.parametrize("model", [plain(), LooksUp(lambda m, x: m.emb(x.long()))])
def test_rows_of_indices_cannot_be_mixed(model):
    with pytest.raises(RecipeError, match="mixup takes means of rows, and these rows are integers"):
        train(model, TOKENS if isinstance(model, nn.Sequential) else TOKENS * 1.0, mixup=0.2)


@pytest.mark.parametrize(
    ("first", "shape", "said"),
    [
        (nn.Conv2d(1, 2, 3), (8, 8), r"\(1, 8, 8\): pass X\[:, None\], or .*Unflatten\(1, \(1, 8"),
        (nn.Conv2d(3, 2, 3), (8, 8), r"rows have shape \(8, 8\), and .* \(3, 8, 8\)"),
        (nn.Conv2d(3, 2, 3), (8, 8, 3), r"channels last, .*\(3, 8, 8\).* np.moveaxis\(X, -1, 1\)"),
        (nn.Conv1d(3, 2, 3), (8, 3), r"channels last, .*\(3, 8\).* np.moveaxis\(X, -1, 1\)"),
        (nn.Conv1d(1, 2, 3), (9,), r"takes rows of shape \(1, 9\)"),
        (nn.Conv3d(1, 2, 3), (27,), r"takes rows of shape \(1, 3, 3, 3\)"),
        (nn.Conv3d(1, 2, 3), (4, 4, 4), r"takes rows of shape \(1, 4, 4, 4\)"),
        (nn.LazyConv2d(2, 3), (64,), r"takes rows of shape \(1, 8, 8\)"),
        (nn.BatchNorm2d(1), (8, 8), r"begin the model with nn.Unflatten\(1, \(1, 8\)\)"),
        (nn.Linear(64, 2), (8, 8), r"rows have shape \(8, 8\): begin the model with nn.Flatten"),
    ],
)
def test_rows_of_another_shape_than_the_model_takes(first, shape, said):
    model = nn.Sequential(first, nn.LazyConv2d(1, 3), nn.Flatten(), nn.LazyLinear(2))
    if isinstance(first, nn.BatchNorm2d):
        model[1] = nn.Conv2d(1, 2, 3)
    with pytest.raises(ModelError, match=said):
        train(model, np.random.default_rng(0).random((40, *shape)))
