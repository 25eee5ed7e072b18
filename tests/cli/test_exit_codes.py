"""What a command ends with: 0 fine, 1 found, 2 a user's mistake; the same in its JSON."""

import json

import pytest

from steepest.cli import main
from steepest.cli.verdict import EXIT_CODES

LOOP = """
import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(300, 6)
y = X[:, :3].argmax(1)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
{change}
optimizer = torch.optim.Adam({held}, lr={lr})
loss_fn = nn.CrossEntropyLoss()
train_loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), 32)
"""


@pytest.fixture
def ended(capsys, tmp_path, monkeypatch):
    """Runs a command in this process: (exit code, its JSON)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([*map(str, arguments), "--json"])
        out = capsys.readouterr().out
        return end.value.code, json.loads(out) if out else None

    return run


def checked(ended, tmp_path, *options, change="", held="model.parameters()", lr=1e-3):
    path = tmp_path / "loop.py"
    path.write_text(LOOP.format(change=change, held=held, lr=lr))
    code, told = ended("check", path, "--seconds", 10, *options)
    assert told["verdict"]["exit_code"] == code
    return code, told["verdict"]["reasons"]


def test_a_sound_loop_ends_with_0(ended, tmp_path):
    assert checked(ended, tmp_path, "--strict") == (0, [])


def test_a_head_that_no_optimizer_holds_ends_with_1(ended, tmp_path):
    code, reasons = checked(ended, tmp_path, held="model[0].parameters()")
    assert code == 1
    assert "error PARAMS_NOT_IN_OPTIMISER" in reasons


def test_a_body_that_no_optimizer_holds_is_a_warning(ended, tmp_path):
    assert checked(ended, tmp_path, held="model[2].parameters()") == (0, [])
    code, reasons = checked(ended, tmp_path, "--strict", held="model[2].parameters()")
    assert (code, reasons) == (1, ["warn PARAMS_NOT_IN_OPTIMISER"])


def test_a_dead_net_ends_with_1(ended, tmp_path):
    code, reasons = checked(ended, tmp_path, change="nn.init.constant_(model[0].bias, -1e3)")
    assert code == 1
    assert "error DEAD_RELU" in reasons


def test_half_a_dead_net_is_no_error(ended, tmp_path):
    change = "with torch.no_grad(): model[0].bias[:14] = -1e3"
    assert checked(ended, tmp_path, change=change)[0] == 0


def test_a_run_that_diverged_ends_with_1(ended):
    quick = ("--epochs", 1, "--progress", "none", "--out", "run")
    code, told = ended("train", "iris", "--lr", "1e38", "--no-check", "--no-watch", *quick)
    assert (code, told["status"]) == (1, "diverged")
    assert told["verdict"]["exit_code"] == 1
    assert told["verdict"]["reasons"][0] == "the run diverged"
    code, told = ended("evaluate", "run", "iris")
    assert code == told["verdict"]["exit_code"] == 0  # its weights are the last sound ones


def test_a_run_that_goes_on_with_nan_ends_with_1(ended):
    quick = ("--epochs", 1, "--progress", "none", "--out", "run")
    still = ("--lr", "1e38", "--no-check", "--no-watch", "--no-stop-on-nan")
    code, told = ended("train", "iris", *still, *quick)
    assert (code, told["status"]) == (1, "finished")
    assert "the train loss is nan" in told["verdict"]["reasons"]
    assert ended("evaluate", "run", "iris") == (2, None)  # outputs that are not finite


def test_a_training_that_the_check_refuses_ends_with_1_and_says_so_in_json(ended):
    code, told = ended("train", "iris", "--init", "zeros", "--hidden", 8, "--progress", "none")
    assert code == told["verdict"]["exit_code"] == 1
    assert (told["status"], told["findings"][0]["code"]) == ("refused", "SYMMETRIC_INIT")


@pytest.mark.filterwarnings("ignore::steepest.errors.HealthWarning")
def test_strict_counts_the_warnings_of_a_run(ended):
    quick = ("--epochs", 1, "--hidden", 8, "--activation", "identity", "--progress", "none")
    assert ended("train", "iris", *quick, "--out", "a")[0] == 0
    code, told = ended("train", "iris", *quick, "--out", "b", "--strict")
    assert (code, told["verdict"]["reasons"]) == (1, ["warn NO_NONLINEARITY"])
    assert ended("resume", "a", "--epochs", 2, "--progress", "none")[0] == 0
    assert ended("resume", "b", "--epochs", 2, "--progress", "none", "--strict")[0] == 1


def test_a_mistake_of_the_user_ends_with_2(ended):
    assert ended("train", "nothing.csv") == (2, None)
    assert ended("train", "iris", "--lr", "-1") == (2, None)


def test_the_help_has_the_table(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    shown = out.partition("Exit codes:")[2].split()
    assert all(str(code) in shown for code in EXIT_CODES)
