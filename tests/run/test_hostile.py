"""Run folders of strangers: nothing in them is executed, and nothing large is believed."""

import json
import sqlite3

import pytest

import steepest as sp
from steepest.errors import RunError


@pytest.fixture
def folder(blobs, tmp_path):
    sp.train(None, blobs, hidden=(8,), epochs=2, out=tmp_path / "run", progress="none")
    return tmp_path / "run"


def edit(folder, *statements):
    with sqlite3.connect(folder / "record.sqlite") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statements",
    [
        (
            "DROP TABLE epochs",
            "CREATE VIEW epochs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)"
            " SELECT i AS epoch FROM n",
        ),
        ("ALTER TABLE facts ADD COLUMN bomb AS (zeroblob(1000000000))",),
        ("CREATE TRIGGER t AFTER INSERT ON epochs BEGIN DELETE FROM facts; END",),
        ("CREATE VIRTUAL TABLE v USING fts5(x)",),
    ],
)
def test_a_record_that_computes_is_refused(folder, blobs, statements):
    edit(folder, *statements)
    for action in (sp.load_run, lambda path: sp.resume(path, data=blobs, progress="none")):
        with pytest.raises(
            RunError, match=r"is not the record of a run: '.+' is not as it should be"
        ):
            action(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("status", [1]), ("scores", {"train": 3}), ("scores", {"train": {"x": 1}})]
)
def test_facts_of_another_kind_are_refused(folder, key, value):
    edit(folder, f"UPDATE facts SET value = '{json.dumps(value)}' WHERE key = '{key}'")
    run = sp.load_run(folder)
    with pytest.raises(RunError, match=r"record.sqlite is damaged: "):
        _ = run.scores, run.status


def test_numbers_that_are_words_are_refused(folder):
    edit(folder, "UPDATE epochs SET train_loss = 'low'")
    with pytest.raises(RunError, match=r"record.sqlite is damaged: "):
        _ = sp.load_run(folder).history


def change(path, edit):
    described = json.loads(path.read_text())
    edit(described)
    path.write_text(json.dumps(described))


def test_a_scaler_of_another_shape_is_refused(folder):
    change(
        folder / "classifier.json",
        lambda d: d["preprocessing"]["scaler"].update(offset=[0.0] * 7, factor=[1.0] * 7),
    )
    with pytest.raises(RunError, match=r"its scaler is for rows of shape \(7,\), not \(4,\)"):
        sp.load_run(folder)


def test_a_model_that_does_not_fit_its_rows_is_refused(folder):
    def widen(described):
        described["preprocessing"]["scaler"] = {
            "kind": "none", "offset": 0.0, "factor": 1.0, "shift": 0.0
        }  # fmt: skip
        described["preprocessing"]["shape"] = [10**9, 10**9]

    change(folder / "classifier.json", widen)
    with pytest.raises(RunError, match=r"does not take rows of shape \(1000000000, 1000000000\)"):
        sp.load_run(folder)


def test_a_description_nested_without_end_is_refused(folder):
    path = folder / "classifier.json"
    path.write_text("[" * 200_000)
    with pytest.raises(RunError, match="cannot read"):
        sp.load_run(folder)
    (folder / "recipe.toml").write_text("x = " + "[" * 200_000)
    with pytest.raises(sp.SteepestError, match=r"recipe.toml is not valid TOML"):
        sp.load_run(folder)


def test_a_checkpoint_with_a_right_checksum_and_wrong_tensors_is_refused(folder, blobs):
    for path in (folder / "checkpoints").glob("step-*.json"):
        change(path, lambda described: described.update(step="many"))
    with pytest.raises(RunError, match="has no checkpoint to go on from; damaged: step-"):
        sp.resume(folder, data=blobs, progress="none")


def test_readers_do_not_hold_up_the_writer(blobs, tmp_path):
    """A reader in the middle of a query, all the while, and the training goes on."""
    held = []

    def read(event):
        if not held:
            path = f"{(tmp_path / 'run' / 'record.sqlite').as_uri()}?mode=ro"
            connection = sqlite3.connect(path, uri=True)
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM facts").fetchone()
            held.append(connection)

    run = sp.train(
        None, blobs, epochs=30, out=tmp_path / "run", observers=[read], checkpoint_steps=5,
        progress="none",
    )  # fmt: skip
    assert run.history.height == 30
    held[0].close()
    assert sp.load_run(tmp_path / "run").history.height == 30
