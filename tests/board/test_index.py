"""The table of runs: what it says of a folder, and what of it has changed."""

import json
import shutil
import tomllib

import pytest

import steepest as sp
from board import causes
from steepest.board.findings import parsed, ranked
from steepest.board.index import Index, run_id
from steepest.board.locks import locked_files
from steepest.board.reading import parse_recipe
from steepest.board.summary import state_of
from steepest.board.sweep_rows import page


@pytest.mark.parametrize(
    "recipe",
    [
        sp.Recipe(),
        sp.Recipe(
            data="x = 1\nlr = 0.1\n", hidden=(3, 4), lr=0.25, betas=(0.5, 0.9), optimizer="adam"
        ),
        sp.Recipe(
            groups={"biases": {"weight_decay": 0}}, weight_decay=0.1, class_weight={"a": 2.0}
        ),
    ],
)
def test_a_recipe_is_read_as_toml_although_its_defaults_are_not_parsed(recipe):
    text = recipe.to_toml()
    assert parse_recipe(text.encode()) == tomllib.loads(text)


@pytest.mark.parametrize("text", ["lr = ", "[", "lr = 0.1\nlr = 0.1", "x" * 2**19, "\xff\xfe"])
def test_a_text_that_is_no_recipe_has_no_settings(text):
    assert parse_recipe(text.encode("latin-1")) == {}


def test_runs_and_sweeps_are_told_once_and_then_what_has_changed(folder, tmp_path):
    root = shutil.copytree(folder, tmp_path / "copy")
    index = Index(root)
    told = index.changes(0)
    while told["unread"]:
        told = index.changes(0)
    names = told["runs"][told["columns"].index("name")]
    assert sorted(names) == ["runs/good", "runs/hot", "runs/table"]
    (sweep,) = told["sweeps"]
    assert (sweep["name"], sweep["planned"], sweep["done"]) == ("sweeps/rates", 6, 6)
    assert index.changes(told["version"])["runs"] == [[]] * len(told["columns"])
    shutil.rmtree(root / "runs" / "hot")
    index._next_scan = 0.0
    later = index.changes(told["version"])
    assert len(later["gone"]) == 1
    assert not later["all"]
    # A page of another server's time is told all.
    assert index.changes(10**9)["all"]


def test_a_row_says_what_the_run_says(folder):
    index = Index(folder)
    told = index.changes(0)
    rows = [dict(zip(told["columns"], row, strict=True)) for row in zip(*told["runs"], strict=True)]
    row = next(row for row in rows if row["name"] == "runs/good")
    run = sp.load_run(folder / "runs" / "good")
    best = run.history.sort("val_loss").row(0, named=True)
    assert (row["val_loss"], row["val_acc"]) == (best["val_loss"], best["val_acc"])
    assert (row["best_epoch"], row["epochs"], row["state"]) == (best["epoch"], 6, "finished")
    hot = next(row for row in rows if row["name"] == "runs/hot")
    assert hot["settings"] == {"validation": 0.25, "lr": 1e4}
    severities = [finding.severity for finding in sp.load_run(folder / "runs" / "hot").findings]
    assert (hot["errors"], hot["warnings"]) == (severities.count("error"), severities.count("warn"))


def test_causes_stand_in_the_order_of_health(folder):
    assert causes.PLACE.read_text("utf-8") == causes.text(), "run python tests/board/causes.py"
    run = sp.load_run(folder / "runs" / "hot")
    details = run.record.table("findings")["details"].to_list()
    told = ranked(map(parsed, reversed(details)))
    plain = json.loads(json.dumps([finding.to_dict() for finding in run.findings]))
    assert [one["code"] for one in told] == [one["code"] for one in plain]
    for mine, theirs in zip(told, plain, strict=True):
        codes = [[one["code"] for one in finding["consequences"]] for finding in (mine, theirs)]
        assert codes[0] == codes[1]
        evidence = [{k: v for k, v in one.items() if v} for one in theirs["evidence"]]
        assert (mine["evidence"], mine["fix"]) == (evidence, theirs["fix"])


def test_the_rows_of_a_sweep_are_those_of_its_results(folder):
    sweep = sp.load_sweep(folder / "sweeps" / "rates")
    told = page(folder / "sweeps" / "rates", 0)
    assert sorted(told["columns"]["run"]) == sorted(sweep.results["run"])
    by_run = dict(zip(told["columns"]["run"], told["settings"]["lr"], strict=True))
    assert by_run == dict(zip(sweep.results["run"], sweep.results["lr"], strict=True))
    assert page(folder / "sweeps" / "rates", told["cursor"])["columns"]["run"] == []


def test_a_run_whose_process_is_gone_has_stopped():
    long_ago, just_now = 0.0, 2e12
    assert state_of(None, long_ago, False) == "stopped"
    assert state_of(None, long_ago, True) == "running"
    assert state_of(None, just_now, None) == "running"
    assert state_of("finished", just_now, True) == "finished"


def test_a_lock_that_is_held_is_seen_and_not_taken(tmp_path):
    if locked_files() is None:
        pytest.skip("this system has no list of locks")
    from filelock import FileLock

    from steepest.board.locks import is_locked

    lock = FileLock(tmp_path / "lock")
    with lock:
        assert is_locked(tmp_path / "lock", locked_files())
    assert not is_locked(tmp_path / "lock", locked_files())


def test_a_run_is_found_by_its_id_before_anybody_has_asked_for_the_list(folder):
    id_ = run_id("runs/good")
    assert Index(folder).run_folder(id_) == folder.resolve() / "runs" / "good"
    sweep = run_id("sweeps/rates")
    assert Index(folder).sweep_folder(sweep) == folder.resolve() / "sweeps" / "rates"
