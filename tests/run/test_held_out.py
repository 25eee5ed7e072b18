"""The held-out rows of a run that is read from its folder: read again, and held to its scores."""

import numpy as np
import polars as pl
import pytest

import steepest as sp
from steepest.errors import RunError


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    label = np.where(x[:, 0] + 0.3 * rng.normal(size=200) > 0, "up", "down")
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "target": label})


def trained(table, folder, **settings):
    table.write_csv(folder / "rows.csv")
    settings = {"epochs": 8, "lr": 0.1, "validation": 0.2} | settings
    return sp.train(None, folder / "rows.csv", out=folder / "run", progress="none", **settings)


@pytest.mark.parametrize(
    "settings",
    [{"test": 0.25}, {}, {"test": 0.25, "validation": 0.0, "members": 3, "hidden": (4,)}],
    ids=["test", "validation", "several nets"],
)
def test_they_are_those_of_the_run(table, tmp_path, settings):
    run = trained(table, tmp_path, **settings)
    again = sp.load_run(tmp_path / "run")
    assert again.evaluate().to_dict() == run.evaluate().to_dict()
    cards = [each.card(tmp_path / f"{n}.md").read_text() for n, each in enumerate((run, again))]
    assert cards[0] == cards[1]
    assert "not measured" not in cards[0]


def test_the_best_weights_are_measured_on_rows_held_to_the_final_ones(table, tmp_path):
    trained(table, tmp_path, hidden=(32,), optimizer="adam", lr=0.05, epochs=30)
    best, final = (sp.load_run(tmp_path / "run", weights=which) for which in ("best", "final"))
    assert best.evaluate().loss < final.evaluate().loss


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.head(190), r"rows.csv\): its test part had 50 rows, and has 4"),
        (lambda t: t.with_columns(a=pl.col("a") + 0.1), r"its test part had a loss of"),
        (lambda t: t.drop("b"), r"the data cannot be read again: .*column"),
        (None, r"the data cannot be read again: .*rows.csv"),
    ],
    ids=["fewer rows", "other numbers", "a column less", "no file"],
)
def test_rows_of_a_file_that_has_changed_are_not_measured(table, tmp_path, change, said):
    trained(table, tmp_path, test=0.25)
    (tmp_path / "rows.csv").unlink()
    if change:
        change(table).write_csv(tmp_path / "rows.csv")
    again = sp.load_run(tmp_path / "run")
    with pytest.raises(RunError, match=f"{said}.*; pass the rows to evaluate$") as refusal:
        again.evaluate()
    assert "\n" not in str(refusal.value)
    assert f"not measured, {refusal.value}." in again.card(tmp_path / "card.md").read_text()
