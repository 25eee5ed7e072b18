"""Checkpoints of several nets, by strangers: whatever a number holds, it is read or refused."""

import shutil

import pytest

import steepest as sp
from steepest.training import StopTraining
from tampering import require_refused, times_refused

DATA = ([[float(i % 5), float(i % 3)] for i in range(60)], [i % 2 for i in range(60)])
PLACES = (
    *(("epoch",), ("epochs",), ("seconds",), ("members",), ("members", 0), ("data",)),
    *(("members", 0, key) for key in ("step", "epoch_stats", "best_epoch", "best_loss", "latest")),
    *(("members", 1, "epoch_stats", key) for key in ("steps", "rows", "correct", "loss_sum")),
    *(("members", 1, "latest", key) for key in ("rows", "loss")),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that ended after its first epoch, of three."""
    folder = tmp_path_factory.mktemp("trained") / "run"

    def stop(event):
        if type(event).__name__ == "EpochFinished":
            raise StopTraining

    settings = {"members": 2, "hidden": (3,), "epochs": 3, "check": False, "watch": False}
    sp.train(None, DATA, out=folder, progress="none", observers=[stop], **settings)
    return folder


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_number_that_no_run_writes_is_read_or_refused(trained, tmp_path, place):
    def resume(folder):
        sp.resume(folder, data=DATA, progress="none")

    refused = times_refused(trained, tmp_path / "run", place, resume)
    assert refused


def test_what_was_not_touched_goes_on(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    assert sp.resume(folder, data=DATA, progress="none").history.height == 3


def test_a_tensor_that_no_run_writes_is_refused(trained, tmp_path):
    def resume(folder):
        sp.resume(folder, data=DATA, progress="none")

    assert require_refused(trained, tmp_path / "copy", resume) > 8
