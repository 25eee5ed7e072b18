"""Checkpoints of strangers: whatever a number of theirs holds, they are read or refused."""

import pytest

import steepest as sp
from tampering import require_refused, times_refused

DATA = ([[float(i % 3), float(i % 2)] for i in range(40)], [i % 2 for i in range(40)])
PLACES = (
    *(("step",), ("seconds",), ("lr",), ("best_epoch",), ("best_loss",), ("epochs_averaged",)),
    *((part, key) for part in ("epoch_stats", "interval") for key in ("steps", "rows", "correct")),
    *(("epoch_stats", "loss_sum"), ("interval", "layers")),
    *(("epoch_stats",), ("scheduler",), ("data",)),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = {"hidden": (3,), "validation": 0.2, "batch_size": 8, "log_every": 3}
    sp.train(None, DATA, steps=5, out=folder, progress="none", check=False, **settings)
    return folder


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_number_that_no_run_writes_is_read_or_refused(trained, tmp_path, place):
    def resume(folder):
        sp.resume(folder, data=DATA, steps=9, progress="none")

    refused = times_refused(trained, tmp_path / "run", place, resume)
    assert refused or place == ("scheduler",)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam", "ema": 0.9, "engine": "native", "early_stopping": True},
        {"optimizer": "muon", "hidden": (3, 3), "engine": "torch", "swa": 0.9},
        {"optimizer": "lbfgs", "batch_size": "full"},
    ],
    ids=["adam", "muon", "lbfgs"],
)
def test_a_tensor_that_no_run_writes_is_refused(settings, tmp_path):
    def resume(folder):
        sp.resume(folder, data=DATA, epochs=6, progress="none")

    folder, settings = tmp_path / "run", {"hidden": (3,), "batch_size": 8, **settings}
    sp.train(None, DATA, epochs=3, out=folder, progress="none", check=False, **settings)
    assert require_refused(folder, tmp_path / "copy", resume) > 8
