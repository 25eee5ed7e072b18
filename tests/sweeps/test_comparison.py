"""sp.compare, `steepest compare` and `steepest runs`: what differs between runs and trials."""

import json

import numpy as np
import pytest

import steepest as sp
from steepest.cli import main
from steepest.errors import RecipeError, RunError

SHORT = sp.Recipe(data="iris", epochs=2, hidden=(4,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs and a sweep."""
    folder = tmp_path_factory.mktemp("mixed")
    quiet = {"progress": "none", "check": False, "watch": False}
    sp.train(None, None, SHORT, out=folder / "a", **quiet)
    groups = {"biases": {"lr_scale": 0.5}}
    sp.train(None, None, SHORT, lr=0.5, groups=groups, engine="torch", out=folder / "b", **quiet)
    sp.sweep(
        SHORT, {"lr": [0.001, 0.5], "batch_size": [8, 16]}, seeds=3, out=folder / "s",
        progress="none",
    )  # fmt: skip
    return folder


def rows_of(table):
    return {row[0]: row[1:] for row in table.iter_rows()}


def test_two_runs_differ_in_settings_with_dotted_names_and_in_their_engine(folder):
    found = sp.compare(folder / "a", sp.load_run(folder / "b"))
    assert found.settings.columns == ["setting", str(folder / "a"), str(folder / "b")]
    settings = rows_of(found.settings)
    assert settings["lr"] == ("not set", "0.5")
    assert settings["groups.biases.lr_scale"] == ("-", "0.5")
    assert set(settings) == {"lr", "groups.biases.lr_scale", "engine"}
    assert set(rows_of(found.facts)) == {"engine"}
    results = rows_of(found.results)
    scores = [sp.load_run(folder / name).scores["validation"].loss for name in "ab"]
    assert results["val_loss"] == tuple(f"{score:.4f}" for score in scores)
    assert "1 seed tells nothing of seed noise" in found.advice[0]


def test_trials_are_compared_by_their_seeds(folder):
    sweep = sp.load_sweep(folder / "s")
    one, other = (
        sweep.trial({"lr": 0.5, "batch_size": 8}),
        sweep.trial({"lr": 0.001, "batch_size": 8}),
    )
    found = sp.compare(f"{folder / 's'}:lr=0.5;batch_size=8", f"{folder / 's'}:{other}")
    assert rows_of(found.settings) == {"lr": ("0.5", "0.001")}
    names = (f"{folder / 's'}:{one}", f"{folder / 's'}:{other}")
    expected = sweep.compare(one, other)
    assert found.advice[0] == str(expected).replace("lr = 0.5", names[0]).replace(
        "lr = 0.001", names[1]
    )
    assert "3 seeds)" in rows_of(found.results)["val_loss"][0]
    run = sweep.results["run"][-1]
    by_run = sp.compare(sweep, f"{folder / 's'}:{run[:8]}")
    assert by_run.settings.columns[2] == f"{folder / 's'}:3"


def test_equal_recipes_say_so_and_columns_of_one_name_are_told_apart(folder):
    found = sp.compare(folder / "a", folder / "a")
    assert "the recipes are equal" in str(found)
    assert found.results.columns[1:] == [f"{folder / 'a'} ({i})" for i in (1, 2)]


def test_a_run_in_memory_on_other_data_differs_in_its_data(folder):
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 2)
    run = sp.train(None, data, SHORT, progress="none", check=False, watch=False)
    facts = rows_of(sp.compare(folder / "a", run).facts)
    assert facts["data"] == ("iris", "objects")
    assert facts["classes"][0].startswith("3 classes")
    assert facts["net"] == ("Sequential, 35 parameters", "Sequential, 21 parameters")


def test_what_cannot_be_compared_is_said_in_a_line(folder, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "layout.json").write_text('{"layout": 99}')
    a, s = folder / "a", folder / "s"
    for items, message in [
        ([a], "two or more runs or trials are compared, but 1 was given"),
        ([a, tmp_path / "none"], "none does not exist"),
        (
            [a, tmp_path],
            "is neither the folder of a run nor of a sweep: it has no layout.json and no",
        ),
        ([a, tmp_path / "old"], "has layout 99, and this version of steepest reads layout 1"),
        ([a, f"{s}:99"], "no trial '99' in .*: trials are 0 to 3, or said by settings"),
        ([a, f"{s}:lr=7"], "no trial of this sweep has lr=7"),
        ([a, f"{a}:1"], "is not the folder of a sweep: it has no sweep.sqlite"),
        (
            [a, 7],
            "compared are runs, sweeps and their folders, or 'FOLDER:TRIAL', but one is a int",
        ),
    ]:
        with pytest.raises(RunError, match=message):
            sp.compare(*items)
    with pytest.raises(RecipeError, match="unknown metric 'f1'"):
        sp.compare(a, a, metric="f1")
    assert (
        "no finished run with test_acc to compare" in sp.compare(a, a, metric="test_acc").advice[0]
    )


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    return end.value.code, capsys.readouterr()


def test_the_command_prints_recipes_first_then_results_then_advice(folder, capsys):
    code, printed = run(capsys, "compare", folder / "a", folder / "s", f"{folder / 's'}:0")
    assert code == 0
    places = [printed.out.index(word) for word in ("batch_size", "val_loss", "seed noise")]
    assert places == sorted(places)
    code, printed = run(capsys, "compare", folder / "a", folder / "b", "--json")
    told = json.loads(printed.out)
    assert {row["setting"] for row in told["settings"]} == {
        "groups.biases.lr_scale",
        "lr",
        "engine",
    }
    code, printed = run(capsys, "compare", folder / "a", "none")
    assert (code, printed.err) == (2, "error: none does not exist\n")


def names(printed):
    return [row["run"].rpartition("/")[2] for row in json.loads(printed.out)["runs"]]


def test_runs_lists_runs_and_sweeps_with_the_settings_in_which_they_differ(folder, capsys):
    code, printed = run(capsys, "runs", folder)
    assert code == 0
    head = printed.out.splitlines()[1].split()
    assert head[:3] == ["run", "status", "engine"]
    assert {"lr", "batch_size"} <= set(head)
    assert "sweep: 12 of 12 runs" in printed.out
    code, printed = run(capsys, "runs", folder, "--json", "--sort", "lr")
    assert names(printed)[-1] == "a"  # nothing is set there
    code, printed = run(
        capsys, "runs", folder, "--json", "--where", "lr>0.1", "--where", "engine=torch"
    )
    assert names(printed) == ["b"]
    code, printed = run(capsys, "runs", folder, "--json", "--where", "engine!=torch", "--reverse")
    assert set(names(printed)) == {"a", "s"}


def test_runs_of_a_sweep_are_its_trials_the_best_first(folder, capsys):
    _, printed = run(capsys, "runs", folder / "s", "--json")
    summary = sp.load_sweep(folder / "s").summary()
    assert names(printed) == [f"s:{trial}" for trial in summary["trial"]]
    rows = json.loads(printed.out)["runs"]
    assert [row["val_loss"] for row in rows] == pytest.approx(summary["mean"].to_list())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sort", "val_ac"], "no column 'val_ac'; did you mean 'val_acc'?"),
        (["--where", "best"], "'best' is no condition such as val_acc>0.9, optimizer=adam"),
        (["--where", "xyzw=1"], "no column 'xyzw': columns are run, status, engine"),
    ],
)
def test_a_column_that_is_not_there(folder, capsys, arguments, message):
    code, printed = run(capsys, "runs", folder, *arguments)
    assert code == 2
    assert message in printed.err


def test_a_folder_that_is_not_there_is_said(tmp_path, capsys):
    code, printed = run(capsys, "runs", tmp_path / "none")
    assert (code, printed.out) == (0, f"no runs in {tmp_path / 'none'}: there is no such folder\n")
    code, printed = run(capsys, "runs", tmp_path, "--where", "epochs=1")
    assert printed.out == f"no runs of these in {tmp_path}\n"
