"""A run that was stopped goes on, and ends with the bits of one that never was."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import nn
from torch.optim import lr_scheduler

import steepest as sp
from steepest.errors import RunError, SteepestWarning
from steepest.training.checkpoint import newest

EVERYTHING = {
    "hidden": (12, 12),
    "dropout": 0.2,
    "batch_norm": True,
    "residual": True,
    "stochastic_depth": 0.2,
    "optimizer": "adamw",
    "lr": 0.01,
    "schedule": "cosine",
    "warmup": 5,
    "mixup": 0.3,
    "ema": 0.9,
    "early_stopping": True,
    "patience": 50,
    "label_smoothing": 0.1,
    "epochs": 8,
    "batch_size": 16,
    "log_every": 3,
}
KINDS = {
    "everything": EVERYTHING,
    "momentum": {"momentum": 0.9, "epochs": 6, "batch_size": 16, "log_every": 4},
    "swa and plateau": {"swa": 0.6, "schedule": "plateau", "plateau_patience": 0, "batch_size": 16},
    "accumulated": {"accumulate": 3, "momentum": 0.9, "epochs": 6, "batch_size": 16},
    "lr auto": {"lr": "auto", "epochs": 5, "batch_size": 16},
    "lbfgs": {"optimizer": "lbfgs", "batch_size": "full", "epochs": 40, "engine": "torch"},
    "scheduled": {
        "hidden": (12, 12),
        "optimizer": "adamw",
        "lr": 0.01,
        "schedule": "coslog4",
        "weight_decay": 0.1,
        "weight_decay_schedule": "flat_cos",
        "dropout": 0.3,
        "dropout_schedule": "coslog4",
        "label_smoothing": 0.1,
        "label_smoothing_schedule": "cosine",
        "epochs": 6,
        "batch_size": 16,
    },
    "muon": {"optimizer": "muon", "hidden": (12, 12), "epochs": 6, "batch_size": 16},
    "rmsprop, warm-up": {
        "optimizer": "rmsprop",
        "momentum": 0.5,
        "batch_size": 16,
        "clip_norm": 1.0,
        "schedule": "step",
        "step_size": 1,
        "gamma": 0.7,
        "warmup": 25,
    },
}


def bits(run):
    state = run.model.state_dict()
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in state.values())).hexdigest()


def stop_after(steps):
    """An observer that asks to stop, as Ctrl-C does, at the first event after so many steps."""
    sent = []

    def observe(event):
        if getattr(event, "step", 0) >= steps and not sent and type(event).__name__ != "RunStopped":
            sent.append(event)
            os.kill(os.getpid(), signal.SIGTERM)

    return observe


def rows(run):
    """What the record holds, but for times."""
    epochs = run.history.drop("seconds")
    return epochs, run.intervals


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 17, 33])
def test_it_ends_with_the_same_bits_and_the_same_record(blobs, tmp_path, kind, engine, steps):
    settings = {"engine": engine, **KINDS[kind], "progress": "none"}
    whole = sp.train(None, blobs, out=tmp_path / "whole", **settings)
    folder = tmp_path / "stopped"
    stopped = sp.train(None, blobs, out=folder, observers=[stop_after(steps)], **settings)
    assert stopped.status == "interrupted"
    assert "SIGTERM" in stopped.record.table("events")["text"][-1]
    again = sp.resume(folder, data=blobs, progress="none")
    assert again.status == whole.status == "finished"
    assert bits(again) == bits(whole)
    for found, expected in zip(rows(again), rows(whole), strict=True):
        assert found["step"].to_list() == expected["step"].to_list()  # no gap, no row twice
        for column in found.columns:
            assert np.allclose(
                found[column].cast(float).to_numpy(), expected[column].cast(float).to_numpy(),
                rtol=1e-12, equal_nan=True,
            )  # fmt: skip
    assert again.layers["step"].to_list() == whole.layers["step"].to_list()
    assert bits(sp.load_run(folder)) == bits(whole)


def test_it_can_be_stopped_again_and_again(blobs, tmp_path):
    settings = {**EVERYTHING, "progress": "none"}
    whole = sp.train(None, blobs, **settings)
    run = sp.train(None, blobs, out=tmp_path / "run", observers=[stop_after(4)], **settings)
    for steps in (10, 30, 31, 60):
        assert run.status == "interrupted"
        run = run.resume(data=blobs, progress="none", observers=[stop_after(steps)])
    assert bits(run.resume(data=blobs, progress="none")) == bits(whole)


@pytest.mark.parametrize(("first", "second"), [("native", "torch"), ("torch", "native")])
def test_it_goes_on_with_the_other_engine(blobs, tmp_path, first, second):
    # Neither batch norm over a last minibatch of two rows nor Adam's step along a gradient that is
    # zero but for rounding: both would make much of little.
    settings = {**EVERYTHING, "batch_size": 18, "optimizer": "sgd", "lr": 0.05, "progress": "none"}
    whole = sp.train(None, blobs, engine=first, **settings)
    folder = tmp_path / "run"
    sp.train(None, blobs, engine=first, out=folder, observers=[stop_after(20)], **settings)
    again = sp.resume(folder, data=blobs, engine=second, progress="none")
    assert again.info["engine"] == second
    for p, q in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-3, atol=1e-5)


def test_a_finished_run_goes_on_with_more_epochs(blobs, tmp_path):
    settings = {"momentum": 0.9, "batch_size": 16, "progress": "none"}
    whole = sp.train(None, blobs, epochs=5, **settings)
    sp.train(None, blobs, epochs=3, out=tmp_path / "run", **settings)
    again = sp.resume(tmp_path / "run", data=blobs, epochs=5, progress="none")
    assert bits(again) == bits(whole)
    assert again.history["epoch"].to_list() == [0, 1, 2, 3, 4]
    assert sp.load_run(tmp_path / "run").recipe.epochs == 5


NO_PATIENCE = {"plateau_patience": 0}
LONGER = {
    "swa": ({"epochs": 6}, {"epochs": 12}, {"swa": 0.5, "batch_norm": True}),
    "swa, early": ({"epochs": 2}, {"epochs": 6}, {"swa": 0.6, "engine": "torch"}),
    "swa, another length with the same beginning": ({"epochs": 10}, {"epochs": 11}, {"swa": 0.5}),
    "swa, steps": ({"steps": 16}, {"steps": 40}, {"swa": 0.5}),
    "plateau, steps": ({"steps": 17}, {"steps": 40}, {"schedule": "plateau", **NO_PATIENCE}),
    "accumulated, steps": ({"steps": 16}, {"steps": 40}, {"accumulate": 3}),
    "accumulated, few": ({"steps": 2}, {"steps": 40}, {"accumulate": 4, "engine": "torch"}),
}


@pytest.mark.parametrize("kind", LONGER)
def test_a_longer_run_is_the_one_that_was_long_from_the_start(blobs, tmp_path, kind):
    """Of 11 steps an epoch: a run that `steps` ends within one is closed as if it were longer."""
    short, long, settings = LONGER[kind]
    settings = {"batch_size": 16, "log_every": 3, **settings}
    settings = {**settings, "epochs": 9, "lr": 0.3, "progress": "none", "check": False}
    whole = sp.train(None, blobs, **{**settings, **long})
    folder = tmp_path / "run"
    first = sp.train(None, blobs, out=folder, **{**settings, **short})
    with pytest.warns(SteepestWarning, match="the run has ended"):
        again = sp.resume(folder, data=blobs, progress="none")
    assert bits(again) == bits(first)
    again = sp.resume(folder, data=blobs, progress="none", **long)
    assert bits(again) == bits(whole) != bits(first)
    for found, expected in zip(rows(again), rows(whole), strict=True):
        assert found["step"].to_list() == expected["step"].to_list()


def test_swa_refuses_a_length_whose_mean_can_no_longer_be_made(blobs, tmp_path):
    folder = tmp_path / "run"
    sp.train(None, blobs, epochs=6, swa=0.5, out=folder, progress="none")
    before = (folder / "recipe.toml").read_bytes()
    with pytest.raises(RunError) as error:
        sp.resume(folder, data=blobs, epochs=8, progress="none")
    assert str(error.value) == (
        "swa = 0.5 of a run of this length averages the epochs from 4 on, but 6 are done and epoch "
        "3 on were averaged: give it the length that it had, or so many epochs that the average "
        "begins at 6 or later"
    )
    assert (folder / "recipe.toml").read_bytes() == before
    assert sp.load_run(folder).status == "finished"


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 3)

    def forward(self, x):
        return self.inner(x)


def test_a_module_of_the_users_own_is_asked_for(blobs, tmp_path):
    folder = tmp_path / "run"
    sp.train(Mine(), blobs, epochs=5, out=folder, observers=[stop_after(3)], progress="none")
    with pytest.raises(
        RunError, match=r"no file can build anew: of a class of your own, .*pass it"
    ):
        sp.resume(folder, data=blobs, progress="none")
    assert sp.resume(folder, Mine(), blobs, progress="none").status == "finished"
    with pytest.raises(RunError, match="the weights do not fit this model: "):
        sp.resume(folder, nn.Linear(4, 3), blobs, progress="none")


def test_a_scheduler_of_torch_is_asked_for_and_goes_on(blobs, tmp_path):
    settings = {"epochs": 6, "progress": "none", "batch_size": 16}
    schedule = {"scheduler": lambda o: lr_scheduler.ExponentialLR(o, 0.7)}
    whole = sp.train(None, blobs, **settings, **schedule)
    folder = tmp_path / "run"
    sp.train(None, blobs, out=folder, observers=[stop_after(25)], **settings, **schedule)
    with pytest.raises(RunError, match="was trained with a scheduler of its own; pass it again"):
        sp.resume(folder, data=blobs, progress="none")
    assert bits(sp.resume(folder, data=blobs, progress="none", **schedule)) == bits(whole)


@pytest.fixture
def stopped(blobs, tmp_path):
    folder = tmp_path / "run"
    sp.train(
        None, blobs, epochs=20, hidden=(5,), out=folder, observers=[stop_after(9)], progress="none"
    )
    return folder


def test_changed_data_are_refused_unless_asked(stopped, blobs):
    X, y = blobs
    other = X.copy()
    other[3, 2] += 1e-3
    with pytest.raises(RunError) as error:
        sp.resume(stopped, data=(other, y), progress="none")
    assert str(error.value) == (
        "the training rows are not those of the checkpoint (162 rows of shape (4,) now): bring back "
        "the data, or go on with accept_changes"
    )
    again = sp.resume(stopped, data=(other, y), accept_changes=True, progress="none")
    assert again.status == "finished"


def test_data_that_do_not_fit_the_net_are_refused_as_other_data(stopped, blobs):
    X, y = blobs
    for other in ((X[:, :3], y), (X, np.arange(len(y)) % 7)):
        with pytest.raises(RunError, match="the data are not those that the run was trained on"):
            sp.resume(stopped, data=other, accept_changes=True, progress="none")


def test_a_changed_recipe_is_refused_with_the_difference(stopped, blobs):
    path = stopped / "recipe.toml"
    path.write_text(path.read_text().replace("epochs = 20", "epochs = 30"))
    with pytest.raises(RunError) as error:
        sp.resume(stopped, data=blobs, progress="none")
    assert "has changed since the checkpoint: epochs is 30 and was 20; undo that" in str(
        error.value
    )
    again = sp.resume(stopped, data=blobs, accept_changes=True, progress="none")
    assert again.history.height == 30


def test_what_would_be_another_run_is_refused(stopped, blobs):
    with pytest.raises(RunError) as error:
        sp.resume(stopped, data=blobs, batch_size=64, progress="none")
    assert str(error.value) == (
        "a run cannot go on with another batch_size (64 instead of 32): begin a new run"
    )


def test_two_processes_cannot_work_on_one_run(stopped, blobs):
    with FileLock(stopped / "lock"), pytest.raises(RunError, match="another process is working on"):
        sp.resume(stopped, data=blobs, progress="none")
    assert sp.resume(stopped, data=blobs, progress="none").status == "finished"


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(stopped, blobs, tmp_path):
    folder = stopped / "checkpoints"
    run = sp.resume(stopped, data=blobs, observers=[stop_after(40)], progress="none")
    assert run.status == "interrupted"
    first, second = sorted(folder.glob("step-*.safetensors"))
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    assert newest(stopped).step == int(first.stem.split("-")[1])
    whole = sp.train(None, blobs, epochs=20, hidden=(5,), progress="none")
    assert bits(sp.resume(stopped, data=blobs, progress="none")) == bits(whole)
    for path in folder.glob("step-*.json"):
        path.write_text("{")
    with pytest.raises(RunError, match="has no checkpoint to go on from; damaged: step-"):
        newest(stopped)


def test_the_last_checkpoints_are_kept_and_no_more(blobs, tmp_path):
    sp.train(
        None, blobs, hidden=(8,), epochs=30, checkpoint_every=1e-9, keep_checkpoints=3, out=tmp_path / "run",
        progress="none", log_every=7,
    )  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names[:2] == ["best.json", "best.safetensors"]
    assert len(names) == 2 + 6
    assert names[-1] == f"step-{30 * 6:012d}.safetensors"


def test_the_command_that_is_killed_loses_nothing(tmp_path):
    """SIGKILL, again and again, from the command line; at length in tests/abuse/kills.py."""
    flags = [
        "--epochs",
        "30",
        "--checkpoint-every",
        "0.001",
        "--momentum",
        "0.9",
        "--dropout",
        "0.1",
    ]
    command = [sys.executable, "-m", "steepest"]
    subprocess.run(
        [*command, "train", "digits", *flags, "--out", "whole"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    rng = np.random.default_rng(0)
    arguments = ["train", "digits", *flags, "--out", "killed"]
    kills = 0
    for _ in range(4):
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in process.stderr:  # its training has begun
            if line.startswith(("epoch=", "error")):
                break
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        kills += process.returncode == -signal.SIGKILL
        if list((tmp_path / "killed" / "checkpoints").glob("*.json")):
            arguments = ["resume", "killed"]
    else:
        subprocess.run(
            [*command, "resume", "killed"], cwd=tmp_path, check=True, capture_output=True
        )
    assert kills > 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]
    assert json.loads((tmp_path / "killed" / "layout.json").read_text())["layout"] == 1


def test_checkpoints_come_by_steps_and_by_epochs(blobs, tmp_path):
    kept = []

    def look(event):
        names = (tmp_path / "run" / "checkpoints").glob("step-*.json")
        kept.append({int(path.stem.split("-")[1]) for path in names})

    made = {"batch_size": 16, "epochs": 4, "keep_checkpoints": 100, "log_every": 1}
    sp.train(
        None, blobs, out=tmp_path / "run", observers=[look], checkpoint_steps=5,
        checkpoint_epochs=2, progress="none", **made,
    )  # fmt: skip
    an_epoch = 11
    expected = {0, *range(5, 4 * an_epoch, 5), 2 * an_epoch, 4 * an_epoch}
    names = (tmp_path / "run" / "checkpoints").glob("step-*.json")
    assert {int(path.stem.split("-")[1]) for path in names} == expected
    assert kept[0] == set()
    assert {0, 5} <= kept[7]  # while it trains, not at its end


def test_the_best_weights_are_kept_beside_the_last(blobs, tmp_path):
    losses = []
    run = sp.train(
        None, blobs, out=tmp_path / "run", epochs=8, lr=1.5, schedule="step", gamma=1.0,
        step_size=1, progress="none",
    )  # fmt: skip
    losses = run.history["val_loss"].to_list()
    best = sp.load_run(tmp_path / "run", weights="best")
    part = run.dataset.validation
    assert best.evaluate(part).loss == pytest.approx(min(losses), rel=1e-5)
    assert sp.load_run(tmp_path / "run").evaluate(part).loss == pytest.approx(losses[-1], rel=1e-5)
    (tmp_path / "run" / "checkpoints" / "best.json").write_text("{}")
    with pytest.raises(RunError, match=r"the best weights of .* are damaged"):
        sp.load_run(tmp_path / "run", weights="best")


def test_a_run_killed_before_its_first_step_goes_on(blobs, tmp_path):
    """The first checkpoint is there before the first event of a step."""

    class Killed(BaseException):
        pass

    def kill(event):
        if type(event).__name__ == "IntervalFinished":
            raise Killed

    with pytest.raises(Killed):
        sp.train(None, blobs, out=tmp_path / "run", observers=[kill], progress="none")
    whole = sp.train(None, blobs, progress="none")
    assert bits(sp.resume(tmp_path / "run", data=blobs, progress="none")) == bits(whole)
