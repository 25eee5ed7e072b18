"""Cross-validation and importance, for those who do not know scikit-learn."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

import steepest as sp
from steepest.cli.main import main
from steepest.errors import DataError, RunError

RNG = np.random.default_rng(0)
N = 240
FRAME = pl.DataFrame(
    {
        "noise": RNG.normal(size=N),
        "size": RNG.normal(size=N),
        "town": RNG.choice(["Bern", "Oslo", "Rome"], N),
    }
)
Y = np.where((FRAME["size"] > 0.3) ^ (FRAME["town"] == "Oslo"), "in", "out")
ONE = {"hidden": (24,), "optimizer": "adam", "lr": 0.02, "epochs": 25, "check": False}


def test_each_row_is_predicted_by_a_net_that_has_not_seen_it():
    runs = []
    found = sp.cross_validate(
        None, (FRAME, Y), folds=4, on_fold=lambda k, run: runs.append(run), **ONE
    )
    assert found.classes == ("in", "out")
    assert found.loss == pytest.approx(log_loss(Y, found.probabilities), rel=1e-5)
    predicted = np.array(found.classes)[found.probabilities.argmax(axis=1)]
    assert found.accuracy == pytest.approx(accuracy_score(Y, predicted))
    assert found.accuracy > 0.85
    assert found.scores["rows"].sum() == N
    trained = [set(run.dataset.train.rows) | set(run.dataset.validation.rows) for run in runs]
    assert all(len(rows) == N - n for rows, n in zip(trained, found.scores["rows"], strict=True))
    assert not set.intersection(*trained)


def test_labels_by_chance_are_predicted_by_chance():
    wrong = np.random.default_rng(1).permutation(Y)
    assert sp.cross_validate(None, (FRAME, wrong), folds=3, **ONE).accuracy < 0.65


def test_a_model_of_ones_own_is_not_touched_and_each_fold_begins_with_it():
    X = FRAME.select("noise", "size").to_numpy()
    model = nn.Linear(2, 1)
    before = model.weight.detach().clone()
    found = sp.cross_validate(model, (X, X[:, 1] > 0), folds=3, lr=0.5, epochs=10, check=False)
    assert model.weight.equal(before)
    assert found.accuracy > 0.9


def test_the_preset_is_cross_validated_too():
    found = sp.cross_validate(None, (FRAME, Y), folds=2, members=2, epochs=15)
    assert found.accuracy > 0.8
    assert "2 folds" in repr(found)


@pytest.mark.parametrize("folds", [1, 0, N + 1])
def test_folds_that_cannot_be_made_are_refused(folds):
    with pytest.raises(DataError, match=f"{folds} folds of {N} rows"):
        sp.cross_validate(None, (FRAME, Y), folds=folds)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    FRAME.with_columns(pl.Series("kind", Y)).write_csv(folder.parent / "table.csv")
    path = str(folder.parent / "table.csv")
    return sp.train(None, path, target="kind", out=folder, progress="none", **ONE)


def test_a_column_that_says_nothing_is_the_least_important(run):
    found = run.importance(FRAME, Y)
    assert found["column"].to_list()[2] == "noise"
    assert abs(found["importance"][2]) < 0.1 < found["importance"][1]
    assert found["accuracy_drop"][0] > 0.1
    assert found.equals(run.importance(FRAME, Y))
    assert set(run.importance()["column"]) == {"noise", "size", "town"}  # of the validation part


def test_importance_is_what_shuffling_by_hand_does(run):
    """The mean over many orders, by scikit-learn's own permutations."""
    rng = np.random.default_rng(5)
    base = run.evaluate(FRAME, Y).loss
    rises = []
    for _ in range(60):
        shuffled = FRAME.with_columns(FRAME["size"].gather(rng.permutation(N)))
        rises.append(run.evaluate(shuffled, Y).loss - base)
    found = run.importance(FRAME, Y, repeats=60).filter(column="size")
    assert found["importance"][0] == pytest.approx(np.mean(rises), rel=0.05)


def test_importance_of_an_array_and_of_pictures():
    X = FRAME.select("noise", "size").to_numpy()
    run = sp.train(None, (X, X[:, 1] > 0), progress="none", **ONE)
    assert run.importance((X, X[:, 1] > 0))["column"].to_list() == ["1", "0"]
    pictures = np.random.default_rng(0).integers(0, 255, (40, 1, 6, 6), dtype=np.uint8)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    run = sp.train(net, (pictures, np.arange(40) % 2), progress="none", epochs=1, check=False)
    with pytest.raises(DataError, match="have no columns"):
        run.importance((pictures, np.arange(40) % 2))
    run.dataset = None
    with pytest.raises(RunError, match="pass the rows"):
        run.importance()


def test_the_command_line_measures_importance(run, capsys):
    table = str(run.folder.parent / "table.csv")

    def printed(*options):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", str(run.folder), table, "--importance", *options])
        assert not ended.value.code
        return capsys.readouterr().out

    found = json.loads(printed("--json"))
    assert [one["column"] for one in found["importance"]][2] == "noise"
    assert "loss when shuffled" in printed()
