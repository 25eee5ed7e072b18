"""The command line, run as a user runs it: real processes, real files."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import numpy as np
import polars as pl
import pytest

import steepest as sp
from steepest.classifier.evaluation import evaluate_probabilities
from steepest.cli.evaluate import _print_tables


def test_help_is_quick_and_lists_the_commands(steepest):
    ended = steepest("--help")
    assert ended.code == 0
    assert all(name in ended.out for name in ("train", "evaluate", "predict", "runs"))


def test_help_and_import_do_not_load_torch():
    code = "import sys, steepest.cli.main; print(sys.modules.keys() & {'torch', 'polars', 'rich'})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "runs"])
def test_each_command_has_help_with_an_example(steepest, command):
    ended = steepest(command, "--help")
    assert ended.code == 0
    assert f"steepest {command} " in ended.out


def test_a_table_from_training_to_predictions(steepest, table, tmp_path):
    ended = steepest(
        *("train", table, "--target", "churned", "--hidden", "16", "--activation", "tanh"),
        *("--init", "xavier", "--lr", "0.1", "--momentum", "0.9", "--batch-size", "16"),
        *("--epochs", "30", "--seed", "3", "--validation", "0.2", "--test", "0.2"),
        *("--engine", "auto", "--out", "runs/churn", "--json"),
    )
    assert ended.code == 0, ended.err
    result = ended.json
    assert result["recipe"]["hidden"] == [16]
    assert result["recipe"]["batch_size"] == 16
    assert result["engine"] in ("native", "torch")
    assert result["seconds"] > 0
    assert result["run"] == "runs/churn"
    assert result["classes"] == ["no", "yes"]
    for part in ("train", "validation", "test"):
        assert result[part]["accuracy"] > 0.7
        assert result[part]["loss"] < 0.69
    assert "loss before the first step" in ended.err

    evaluated = steepest("evaluate", "runs/churn", table, "--json")
    assert evaluated.code == 0, evaluated.err
    assert evaluated.json["rows"] == 300
    confusion = np.array(evaluated.json["confusion"])
    assert confusion.sum() == 300
    assert evaluated.json["accuracy"] == pytest.approx(np.trace(confusion) / 300)

    frame = pl.read_csv(table).drop("churned").sample(fraction=1, seed=0, shuffle=True)
    frame.select(reversed(frame.columns)).write_csv(tmp_path / "new.csv")
    predicted = steepest("predict", "runs/churn", "new.csv", "-o", "out.csv", "--proba")
    assert predicted.code == 0, predicted.err
    out = pl.read_csv(tmp_path / "out.csv")
    assert out.columns == ["prediction", "p(no)", "p(yes)"]
    assert out.height == 300
    assert set(out["prediction"]) == {"no", "yes"}
    assert ((out["p(yes)"] > 0.5) == (out["prediction"] == "yes")).all()

    listed = steepest("runs", "--json").json["runs"]
    assert [run["run"] for run in listed] == ["runs/churn"]
    assert listed[0]["status"] == "finished"


def test_a_recipe_file_trains_and_flags_change_it(steepest, tmp_path):
    (tmp_path / "recipe.toml").write_text('data = "digits"\nepochs = 3\nhidden = [32]\n')
    ended = steepest("train", "recipe.toml", "--epochs", "1", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["recipe"]["epochs"] == 1
    assert ended.json["recipe"]["hidden"] == [32]
    assert ended.json["run"].startswith("runs/digits-")
    again = steepest("train", tmp_path / ended.json["run"] / "recipe.toml", "--json")
    assert again.json["train"] == ended.json["train"]


def test_json_is_all_there_is_on_standard_output(steepest):
    ended = steepest("train", "iris", "--epochs", "1", "--json", "--progress", "steps")
    assert json.loads(ended.out)["status"] == "finished"
    assert "epoch=  0, i=" in ended.err


def test_without_json_a_table_and_the_place_of_the_run_are_printed(steepest):
    ended = steepest("train", "iris", "--epochs", "2", "--out", "r")
    assert "validation" in ended.out
    assert ended.out.endswith("run: r\n")
    shown = steepest("evaluate", "r", "iris")
    assert "balanced accuracy" in shown.out
    assert "versicolor" in shown.out
    assert "finished" in steepest("runs", ".").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nothing.csv"], "nothing.csv"),
        (
            ["train", "digits", "--lr", "-1"],
            "error: lr must be a number above 0, or 'auto', but is -1.0\n",
        ),
        (
            ["train", "digits", "--batch-size", "0"],
            "error: batch_size must be a whole number of at least 1, or 'full', but is 0\n",
        ),
        (["train", "digits", "--lrr", "1"], "No such option"),
        (["train", "digits", "--engine", "warp"], "Invalid value for '--engine'"),
        (["evaluate", "nowhere", "digits"], "error: nowhere is not a run folder"),
        (["trian"], "No such command"),
        (["train", "digits", "--out", "/proc/none/run"], "error: cannot write /proc/none/run"),
    ],
)
def test_a_users_mistake_ends_with_2_and_one_message(steepest, arguments, message):
    ended = steepest(*arguments)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_a_wrong_target_names_the_nearest_column(steepest, table):
    ended = steepest("train", table, "--target", "churn")
    assert ended.code == 2
    assert "'churned'" in ended.err


def test_ctrl_c_ends_with_130_and_the_run_is_kept(steepest, tmp_path):
    command = [sys.executable, "-m", "steepest", "train", "digits"]
    command += ["--epochs", "1000000", "--out", "kept", "--json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if line.startswith("epoch="):
            break
    asked = time.perf_counter()
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert time.perf_counter() - asked < 10
    assert process.returncode == 130
    assert json.loads(out)["status"] == "interrupted"
    assert steepest("evaluate", "kept", "digits", "--json").json["accuracy"] > 0.2


def test_find_lr_suggests_a_rate_and_saves_its_curve(steepest, tmp_path):
    found = steepest(
        "find-lr", "digits", "--hidden", "16", "--plot", tmp_path / "r.png", "--json"
    ).json
    assert 1e-4 < found["suggestion"] < 1
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"])
    assert (tmp_path / "r.png").stat().st_size > 10_000


def test_the_toolbox_has_flags_and_survives_the_recipe_file(steepest, tmp_path):
    flags = {
        "optimizer": "adamw",
        "lr": "0.002",
        "schedule": "cosine",
        "warmup": "0.1",
        "l2": "1e-4",
        "dropout": "0.1",
        "mixup": "0.2",
        "label-smoothing": "0.1",
        "class-weight": "balanced",
        "clip-norm": "1",
        "ema": "0.9",
        "patience": "3",
        "groups": '{"*.bias": {"weight_decay": 0}}',
    }
    arguments = [part for name, value in flags.items() for part in (f"--{name}", value)]
    switches = ["--batch-norm", "--early-stopping"]
    first = steepest(
        "train", "digits", "--epochs", "2", "--out", "a", "--json", *arguments, *switches
    )
    assert first.json["engine"] == "native"
    assert first.json["recipe"]["groups"] == {"*.bias": {"weight_decay": 0}}
    again = steepest("train", tmp_path / "a" / "recipe.toml", "--out", "b", "--json")
    assert again.json["test"] == first.json["test"]
    assert again.json["train"] == first.json["train"]


def test_the_version_is_that_of_the_package(steepest):
    assert steepest("--version").out == f"steepest, version {sp.__version__}\n"
    assert sp.__version__ == version("steepest")
    assert "__version__" in dir(sp)


def test_names_of_classes_are_never_cut_in_a_confusion_matrix(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    names = tuple(f"tropical_forest_{letter}" for letter in "abcdefghij")
    probabilities = np.eye(10)[np.arange(40) % 10]
    _print_tables(evaluate_probabilities(probabilities, np.arange(40) % 10, 0.1, names))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 100
    assert all(f"{i} {name} " in printed for i, name in enumerate(names))
    short = tuple("abcdefghij")
    _print_tables(evaluate_probabilities(probabilities, np.arange(40) % 10, 0.1, short))
    assert "┃ a ┃ b ┃ c ┃" in capsys.readouterr().out
