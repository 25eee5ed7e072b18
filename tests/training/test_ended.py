"""A run that has ended stays as it is, and says so, unless more is asked for."""

import numpy as np
import pytest

import steepest as sp
from steepest.errors import SteepestWarning
from steepest.recipe import SETTINGS

QUICK = {"hidden": (3,), "batch_size": 60, "check": False, "watch": False, "progress": "none"}
ENDS = {
    "finished": ({"epochs": 2}, {"epochs": 3}),
    "steps": ({"epochs": 9, "steps": 6}, {"steps": 9}),
    "early stopping": (
        {"epochs": 50, "lr": 30.0, "early_stopping": True, "patience": 1},
        {"patience": 49},
    ),
    "diverged": ({"epochs": 4, "lr": 1e30}, {"lr": 0.1}),
}


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("kind", ENDS)
def test_it_is_left_and_goes_on_when_more_is_asked_for(blobs, tmp_path, kind, engine):
    settings, more = ENDS[kind]
    folder = tmp_path / "run"
    run = sp.train(None, blobs, out=folder, engine=engine, **{**QUICK, **settings})
    weights = (folder / "model.safetensors").read_bytes()
    height, status, last = run.history.height, run.status, run.history["step"].max()
    assert status == ("diverged" if kind == "diverged" else "finished")
    for _ in range(2):
        with pytest.warns(SteepestWarning, match="the run has ended and nothing was trained"):
            again = sp.resume(folder, data=blobs, progress="none")
        assert again.history.height == height
        assert (again.status, again.info["engine"]) == (status, engine)
        assert (folder / "model.safetensors").read_bytes() == weights
    if kind == "early stopping":  # more epochs would have ended in the same place
        with pytest.warns(SteepestWarning, match="nothing was trained"):
            again = sp.resume(folder, data=blobs, epochs=60, progress="none")
        assert again.history.height == height
        assert (folder / "model.safetensors").read_bytes() == weights
    further = sp.resume(folder, data=blobs, progress="none", **more)
    assert further.history["step"].max() > (0 if kind == "diverged" else last)
    if kind == "diverged":
        assert np.isfinite(further.history["train_loss"].to_numpy()).all()


def test_no_setting_without_a_bearing_on_the_result_takes_it_further(blobs, tmp_path):
    idle = {name for name, setting in SETTINGS.items() if not setting.affects_result}
    others = {
        "log_every": 7,
        "checkpoint_every": 9.0,
        "checkpoint_steps": 2,
        "checkpoint_epochs": 3,
        "keep_checkpoints": 1,
        "check": True,
        "watch": True,
    }
    assert set(others) == idle - {"data"}
    settings, _ = ENDS["finished"]
    sp.train(None, blobs, out=tmp_path / "run", **QUICK, **settings)
    weights = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    with pytest.warns(SteepestWarning, match="nothing was trained"):
        sp.resume(tmp_path / "run", data=blobs, progress="none", **others)
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == weights
