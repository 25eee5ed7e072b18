"""Rows with several classes or none: from the file to the prediction, on both engines."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score, f1_score
from torch import nn

import steepest as sp
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine
from steepest.errors import ModelError, RecipeError, TargetError
from steepest.objective import Objective

ENGINES = ["native", "torch"]


@pytest.fixture
def tags():
    X, Y = make_multilabel_classification(500, 12, n_classes=4, random_state=0)
    return X.astype(np.float32), Y


def train(data, model=None, **settings):
    return sp.train(model, data, task="multilabel", progress="none", **settings)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_learns_each_class_of_its_own(tags, engine, tmp_path):
    run = train(tags, hidden=(32,), epochs=30, test=0.3, engine=engine, out=tmp_path / "run")
    assert run.info["engine"] == engine
    assert run.info["chance_loss"] == pytest.approx(np.log(2))
    X, Y = tags
    predicted = run.classifier.predict(X)
    assert predicted.shape == Y.shape
    assert set(np.unique(predicted)) == {0, 1}
    assert f1_score(Y, predicted, average="macro") > 0.7
    assert np.array_equal(predicted, run.classifier.predict_proba(X) > 0.5)
    again = sp.load_run(tmp_path / "run").classifier
    assert np.array_equal(again.predict_proba(X), run.classifier.predict_proba(X))


def test_the_evaluation_is_scikit_learns(tags):
    run = train(tags, hidden=(8,), epochs=5)
    X, Y = tags
    found, predicted = run.classifier.evaluate((X, Y)), run.classifier.predict(X)
    assert found.accuracy == pytest.approx(accuracy_score(Y, predicted))
    assert [c.f1 for c in found.classes] == pytest.approx(f1_score(Y, predicted, average=None))
    p = run.classifier.predict_proba(X)
    loss = nn.functional.binary_cross_entropy(torch.from_numpy(p), torch.from_numpy(Y).double())
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    for k, (negative, only_predicted, only_true, both) in enumerate(found.confusion):
        assert negative + only_predicted + only_true + both == len(Y)
        assert both == ((Y[:, k] == 1) & (predicted[:, k] == 1)).sum()
        assert only_predicted == ((Y[:, k] == 0) & (predicted[:, k] == 1)).sum()
        assert only_true == ((Y[:, k] == 1) & (predicted[:, k] == 0)).sum()


SETTINGS = [
    {},
    {"pos_weight": 3.0},
    {"class_weight": (1.0, 0.5, 2.0, 3.0)},
    {"label_smoothing": 0.2, "mixup": 0.4, "pos_weight": 2.0},
    {"accumulate": 3, "class_weight": (1.0, 0.5, 2.0, 3.0)},
]


def plan(recipe, rows=150):
    X, Y = make_multilabel_classification(rows, 12, n_classes=4, random_state=1)
    samples = Samples(X.astype(np.float32), None, "test")
    inputs = Preprocessing.fit(samples, "standardise").prepare(samples)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 4))
    return Plan(model, Objective("multilabel"), inputs, Y.astype(np.int64), recipe)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_both_engines_take_the_same_steps(settings):
    native = pytest.importorskip("steepest.engine.native")
    if native.extension() is None:
        pytest.skip("the native engine is not built here")
    recipe = sp.Recipe(task="multilabel", batch_size=32, lr=0.5, **settings)
    losses, models = [], []
    for engine in (native.NativeEngine(), TorchEngine()):
        own = plan(recipe)
        engine.load(own)
        stats = [engine.advance([0.5]) for _ in range(60)]
        engine.export()
        losses.append([s.loss for s in stats])
        models.append(own.model)
        assert 0 < sum(s.correct for s in stats) < sum(s.rows for s in stats)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {}),
        ({"pos_weight": 3.0}, {"pos_weight": torch.tensor(3.0)}),
        ({"class_weight": (1.0, 0.5, 2.0, 3.0)}, {"weight": torch.tensor([1.0, 0.5, 2.0, 3.0])}),
    ],
)
def test_the_loss_is_that_of_bce_with_logits(settings, arguments):
    own = plan(sp.Recipe(task="multilabel", **settings))
    z, y = torch.randn(9, 4), torch.from_numpy(own.targets[:9])
    expected = nn.BCEWithLogitsLoss(**arguments)(z, y.float())
    assert own.loss(z, y).item() == pytest.approx(expected.item(), rel=1e-5)


def test_several_columns_of_a_table_are_the_target(steepest, tags, tmp_path):
    X, Y = tags
    columns = {f"x{i}": X[:, i] for i in range(12)}
    frame = pl.DataFrame(columns | {name: Y[:, k] for k, name in enumerate("abcd")})
    frame.write_csv(tmp_path / "tags.csv")
    flags = ["--target", "a,b,c,d", "--task", "multilabel", "--epochs", "20", "--out", "run"]
    trained = steepest("train", "tags.csv", *flags, "--json")
    assert trained.json["classes"] == ["a", "b", "c", "d"]
    assert steepest("evaluate", "run", "tags.csv", "--json").json["accuracy"] > 0.4
    assert "only predicted" in steepest("evaluate", "run", "tags.csv").out
    out = steepest("predict", "run", "tags.csv", "--proba").out.splitlines()
    assert out[0] == "a,b,c,d,p(a),p(b),p(c),p(d)"
    assert len(out) == 501
    assert json.loads((tmp_path / "run" / "classifier.json").read_text())["classes"]["multilabel"]


def test_a_part_whose_rows_happen_to_be_one_hot_is_understood(tags):
    X, Y = tags
    one = Y.sum(axis=1) == 1
    alone = sp.load_data((X[one], Y[one])).train
    assert alone.labels.ndim == 1
    loaded = sp.load_data((X[~one], Y[~one]), test=alone)
    assert np.array_equal(loaded.test.labels, Y[one])
    for data in (
        loaded,
        sp.Dataset(Samples(X[~one], Y[~one].astype(np.uint8), "tags"), test=alone),
    ):
        run = train(data, hidden=(16,), epochs=10)
        assert run.scores["test"].rows == one.sum()


@pytest.mark.parametrize(
    ("change", "settings", "kind", "message"),
    [
        (
            lambda X, Y: (X, Y),
            {"task": "auto"},
            TargetError,
            "must be one-hot rows, with one 1 and else 0, but row 1 is [0, 0, 0, 0]; if rows may have several classes or none, set task to 'multilabel'",
        ),
        (
            lambda X, Y: (X, np.c_[Y, np.zeros(len(Y), dtype=int)]),
            {"validation": 0.0},
            TargetError,
            "none of the 500 training rows of (X, y) have the class '4', so there is nothing to learn about it; leave it out",
        ),
        (
            lambda X, Y: (X, np.array(["a", "b"])[Y[:, 0]]),
            {},
            TargetError,
            "task multilabel needs labels of shape (N, K), rows of 0 and 1, but they are of shape (450,)",
        ),
        (
            lambda X, Y: (X, Y),
            {"class_weight": "balanced"},
            RecipeError,
            "balanced class weights are for one class in a row",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tags, change, settings, kind, message):
    with pytest.raises(kind) as error:
        sp.train(None, change(*tags), progress="none", **{"task": "multilabel", **settings})
    assert message in str(error.value)


def test_a_model_with_a_softmax_or_another_width_is_refused(tags):
    with pytest.raises(ModelError, match="the model ends in a softmax, which lets a row have one"):
        train(tags, nn.Sequential(nn.Linear(12, 4), nn.Softmax(1)))
    with pytest.raises(ModelError, match=r"must give logits of shape \(N, 4\) for N rows"):
        train(tags, nn.Linear(12, 3))


ROWS = np.arange(40, dtype=np.float32).reshape(20, 2)
ONE_HOT = np.eye(3, dtype=int)[np.arange(20) % 2]


@pytest.mark.parametrize(("order", "absent"), [((0, 1, 2), 2), ((2, 0, 1), 0), ((0, 2, 1), 1)])
def test_one_hot_rows_with_an_empty_column_keep_it(order, absent):
    with pytest.raises(TargetError, match=f"none of the 20 training rows .* the class '{absent}'"):
        train((ROWS, ONE_HOT[:, order]), validation=0.0)


def test_one_hot_rows_of_more_columns_than_the_classifier_has_are_refused():
    run = train((ROWS, ONE_HOT[:, :2]), epochs=1)
    with pytest.raises(TargetError, match=r"rows of 2 numbers, .* but have the shape \(20, 3\)"):
        run.evaluate((ROWS, ONE_HOT))


def test_one_hot_rows_tell_how_many_classes_there_are_to_a_net_that_is_built():
    run = sp.train(None, (ROWS, ONE_HOT), epochs=1, progress="none")
    assert run.classifier.predict_proba(ROWS).shape == (20, 3)
    assert run.classifier.classes.notes == ("no training rows of the classes 2",)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_column_is_one_class(engine):
    y = np.arange(20) // 10
    run = train((ROWS, y[:, None]), lr=0.5, epochs=60, engine=engine, validation=0.0)
    assert run.classifier.predict(ROWS).tolist() == y[:, None].tolist()
    found = run.evaluate((ROWS, y[:, None]))
    assert found.accuracy == 1.0
    assert (found.classes[0].support, found.confusion) == (10, ((10, 0, 0, 10),))
    with pytest.raises(TargetError, match="labels of one column must be 0 or 1"):
        train((ROWS, 2 * y[:, None]))


def test_columns_of_a_table_that_are_one_hot_are_classes_with_their_names():
    frame = pl.DataFrame({"x": ROWS[:, 0], "cat": ONE_HOT[:, 0], "dog": ONE_HOT[:, 1]})
    run = sp.train(None, frame, target="cat,dog", epochs=1, progress="none")
    assert run.classifier.classes.names == ("cat", "dog")
    assert run.classifier.classes.multilabel is False


def test_the_old_spelling_names_the_new_one(steepest):
    with pytest.raises(RecipeError, match=r"loss must be one of .*; say task = 'multilabel'"):
        sp.Recipe(loss="multilabel")
    with pytest.raises(RecipeError, match="say task = 'multilabel'"):
        sp.Recipe.from_toml('loss = "multilabel"')
    ended = steepest("train", "digits", "--loss", "multilabel")
    assert ended.code == 2
    assert "say task = 'multilabel'" in ended.err


def test_the_focal_loss_is_for_one_class_in_a_row():
    with pytest.raises(RecipeError, match="the focal loss is for one class in a row"):
        sp.Recipe(task="multilabel", loss="focal")


@pytest.mark.parametrize(("task", "width"), [("auto", 1), ("binary", 1), ("multiclass", 2)])
@pytest.mark.parametrize("engine", ["torch", "native"])
def test_the_net_that_is_built_has_the_outputs_of_its_task(blobs, task, width, engine):
    X, y = blobs
    two = (X[y < 2], y[y < 2])
    run = sp.train(None, two, task=task, engine=engine, epochs=2, hidden=(3,), progress="none")
    assert list(run.model.parameters())[-1].shape == (width,)
    assert run.classifier.objective.kind == ("binary" if width == 1 else "multiclass")
    assert run.classifier.predict_proba(X).shape == (len(X), 2)


def test_a_task_that_the_labels_or_the_model_contradict_is_refused(blobs):
    with pytest.raises(TargetError, match="task binary is for two classes, but the labels have 3"):
        sp.train(None, blobs, task="binary", progress="none")
    two = (blobs[0][blobs[1] < 2], blobs[1][blobs[1] < 2])
    with pytest.raises(ModelError, match="those of task binary, but the recipe's task is multicla"):
        sp.train(nn.Linear(4, 1), two, task="multiclass", progress="none")
    with pytest.raises(ModelError, match="those of task multiclass, but the recipe's task is bina"):
        sp.train(nn.Linear(4, 2), two, task="binary", progress="none")
