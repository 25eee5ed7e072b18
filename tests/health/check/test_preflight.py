"""The check before sp.train, and `steepest check`."""

import json
import warnings

import numpy as np
import pytest

import steepest as sp
from steepest.cli import main
from steepest.errors import HealthError, HealthWarning

QUIET = {"hidden": (4,), "progress": "none"}
FILE = """
import torch
from torch import nn

def make(seed):
    torch.manual_seed(seed)
    X = torch.randn(300, 6)
    y = X[:, :3].argmax(1){shift}
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    data = torch.utils.data.TensorDataset(X, y)
    return model, nn.CrossEntropyLoss(), optimizer, torch.utils.data.DataLoader(data, 32)
"""


def test_what_breaks_a_training_stops_it_unless_told_not_to(blobs):
    settings = {"epochs": 1, "hidden": (8,), "init": "zeros", "progress": "none"}
    with pytest.raises(HealthError, match="SYMMETRIC_INIT"):
        sp.train(None, blobs, **settings)
    assert sp.train(None, blobs, check=False, **settings).status == "finished"


def test_warnings_are_shown_and_kept(blobs):
    with pytest.warns(HealthWarning, match="NO_NONLINEARITY"):
        run = sp.train(None, blobs, epochs=1, hidden=(8,), activation="identity", progress="none")
    assert run.findings.codes == ["NO_NONLINEARITY"]


def test_rows_are_compared_with_their_neighbours_where_that_is_little_beside_the_run():
    """One column that gives the label away, in runs of two lengths."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    X = rng.normal(0, 1, (400, 8))
    X[:, 3] = y
    with pytest.warns(HealthWarning, match="TARGET_LEAK_FEATURE"):
        run = sp.train(None, (X, y), steps=14_000, epochs=2000, **QUIET)
    assert "TARGET_LEAK_FEATURE" in run.findings.codes
    run = sp.train(None, (X, y), epochs=2, **QUIET)
    assert "TARGET_LEAK_FEATURE" not in run.findings.codes


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_check_changes_no_bit_of_a_training(blobs, engine):
    settings = {"epochs": 2, "hidden": (8,), "dropout": 0.2, "engine": engine, "progress": "none"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked = sp.train(None, blobs, **settings)
    plain = sp.train(None, blobs, check=False, **settings)
    for a, b in zip(checked.model.parameters(), plain.model.parameters(), strict=True):
        assert a.equal(b)


def status(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def test_the_command_reads_a_python_file(tmp_path, capsys):
    path = tmp_path / "training.py"
    path.write_text(FILE.format(shift=""))
    assert status(["check", str(path), "--seconds", "10"]) == 0
    assert "no findings" in capsys.readouterr().out
    path.write_text(FILE.format(shift=" + 1"))
    assert status(["check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert found[0]["code"] == "CLASS_SET_MISMATCH"
    assert found[0]["severity"] == "error"


def test_the_command_refuses_a_file_without_the_objects(tmp_path, capsys):
    path = tmp_path / "training.py"
    path.write_text("model = 1\n")
    assert status(["check", str(path)]) == 2
    assert "no loss_fn" in capsys.readouterr().err


def test_the_command_checks_data_and_recipes(tmp_path, capsys):
    assert status(["check", "iris", "--hidden", "16", "--seconds", "10"]) == 0
    assert "no findings" in capsys.readouterr().out
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('data = "iris"\nhidden = [16]\ninit = "zeros"\n')
    assert status(["check", str(recipe)]) == 1
    assert "SYMMETRIC_INIT" in capsys.readouterr().out
