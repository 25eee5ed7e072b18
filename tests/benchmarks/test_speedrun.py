"""benchmarks/speedrun: its machinery on scikit-learn's digits, written as torchvision lays them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    from speedrun.__main__ import in_turns, recipe
    from speedrun.contestants import Sizes, find_contestant
    from speedrun.goals import Entry
    from speedrun.table import table
finally:
    sys.path.remove(str(BENCHMARKS))


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def digits():
    X, y = load_digits(return_X_y=True)
    return (X.reshape(-1, 8, 8) * 15).astype(np.uint8), y.astype(np.int64)


@pytest.fixture
def folder(tmp_path):
    """FashionMNIST/raw with digits in it, and no MNIST."""
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    X, y = digits()
    for prefix, rows in (("train", slice(1300)), ("t10k", slice(1300, None))):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", X[rows])
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", y[rows])
    return tmp_path / "data"


@pytest.fixture
def speedrun(tmp_path, folder):
    """Runs the command in a folder of its own: (how it ended, the lines of its results)."""
    path = tmp_path / "speedrun.jsonl"

    def run(*switches):
        ended = subprocess.run(
            [sys.executable, str(BENCHMARKS / "speedrun"), "--data", str(folder), *switches],
            capture_output=True, text=True, timeout=240, cwd=tmp_path,
        )  # fmt: skip
        lines = path.read_text().splitlines() if path.exists() else []
        return ended, [json.loads(line) for line in lines]

    run.path = path
    return run


def test_trainings_are_timed_written_down_and_not_run_again(speedrun):
    asked = ("--only", "mnist-99,fashion-91", "--peer", "torch", "--seeds", "1")
    ended, lines = speedrun(*asked)
    assert ended.returncode == 0, ended.stderr
    assert "not measured: mnist (mnist is not on this machine" in ended.stdout
    assert [(x["goal"], x["seed"], x["contestant"]) for x in lines] == [
        ("fashion-91", 0, "steepest"), ("fashion-91", 0, "torch"),
    ]  # fmt: skip
    for line in lines:
        assert line["status"] == "done", line
        assert line["accuracy"] > 0.5  # three epochs of eleven steps
        assert 0 < line["seconds"] < 60
        assert line["entry"] == recipe("fashion-91", line["contestant"])
    speedrun.path.write_text(speedrun.path.read_text()[:-20])  # a kill cut the last line off
    ended, again = speedrun(*asked)
    assert "1 of 2 trainings are in" in ended.stdout
    assert again[0] == lines[0]
    assert again[1]["accuracy"] == pytest.approx(lines[1]["accuracy"], abs=0.05)
    ended, same = speedrun(*asked, "--report")
    assert same == again
    assert "| mnist-99 | steepest | not measured" in ended.stdout


def test_results_of_another_recipe_are_not_shown_and_of_other_processors_refused(speedrun):
    line = {"goal": "fashion-91", "seed": 0, "contestant": "steepest", "status": "done"}
    other = {**recipe("fashion-91", "steepest"), "epochs": 99}
    whole = {**line, "entry": other, "threads": 1, "processors": [7]}
    speedrun.path.write_text(json.dumps(whole) + "\n")
    ended, _ = speedrun("--only", "fashion-91", "--report", "--peer", "torch")
    assert "| fashion-91 | steepest | not measured" in ended.stdout
    ended, lines = speedrun("--only", "fashion-91", "--peer", "torch")
    assert ended.returncode
    assert "give the same, or another file with --results" in ended.stderr
    assert lines == [whole]


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        (("--only", "cifar"), "there is no goal cifar; there are mnist-98-dense,"),
        (("--peer", "abacus"), "there is no contestant abacus; there are steepest, torch,"),
    ],
)
def test_what_is_not_known_is_refused_in_a_line(speedrun, switches, said):
    ended, lines = speedrun(*switches)
    assert ended.returncode
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert lines == []


def test_seeds_alternate_who_begins():
    turns = in_turns({"fashion-91": ["a", "b"]}, 2)
    assert [(seed, name) for _, seed, name in turns] == [(0, "a"), (0, "b"), (1, "b"), (1, "a")]


def test_the_mean_decides_and_missing_seeds_are_told():
    line = {"goal": "fashion-91", "contestant": "steepest", "status": "done"}
    figures = {"processor_seconds": 2.0, "compile_seconds": 0.0}
    lines = [
        {**line, **figures, "seconds": seconds, "accuracy": accuracy}
        for seconds, accuracy in ((1.0, 0.909), (3.0, 0.912), (1.5, 0.9101))
    ]
    shown = table(["fashion-91"], ["steepest"], lines, 3).splitlines()[-1]
    assert "1.50 (1.00 to 3.00)" in shown
    assert shown.endswith("91.04% (90.90%) | passes |")
    assert table(["fashion-91"], ["steepest"], lines, 10).endswith("passes, of 3 of 10 seeds |")
    lines[2]["accuracy"] = 0.908
    assert "does not pass |" in table(["fashion-91"], ["steepest"], lines, 3)


@pytest.mark.parametrize("name", ["steepest", "torch"])
@pytest.mark.parametrize(
    "net", [{"channels": (8, 16), "shift": 1, "flip": True}, {"hidden": (64,)}]
)
def test_every_contestant_learns_by_every_kind_of_entry(name, net):
    X, y = digits()
    entry = Entry(6, 64, 1e-2, **net)
    train = find_contestant(name)(entry, Sizes(1300, (8, 8), 10), 1)
    predict = train(X[:1300], y[:1300], 0)
    assert (predict(X[1300:]) == y[1300:]).mean() > (0.85 if "flip" not in net else 0.7)
