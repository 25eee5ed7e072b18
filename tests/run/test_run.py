"""A run survives its folder: saved, opened, moved, damaged, on a full disk."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import RunError


@pytest.fixture
def run(blobs):
    return sp.train(None, blobs, epochs=2, hidden=(8,), progress="none")


def same_weights(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_an_opened_run_is_the_saved_one(run, blobs, tmp_path):
    run.save(tmp_path / "first")
    again = sp.load_run(tmp_path / "first")
    assert again.recipe == run.recipe
    assert again.history.equals(run.history)
    assert again.layers.equals(run.layers)
    assert again.info == run.info
    assert same_weights(again.model, run.model)
    assert np.array_equal(
        again.classifier.predict_proba(blobs[0]), run.classifier.predict_proba(blobs[0])
    )


def test_a_run_trained_into_a_folder_equals_one_saved_there(blobs, tmp_path):
    kept = sp.train(None, blobs, epochs=2, progress="none", out=tmp_path / "kept")
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    saved = sp.train(None, blobs, epochs=2, progress="none").save(tmp_path / "saved")
    assert names == {path.name for path in saved.iterdir()} | {"checkpoints", "lock"}
    assert same_weights(sp.load_run(tmp_path / "kept").model, kept.model)


def test_a_folder_can_be_moved_and_opened_where_nothing_can_be_written(run, blobs, tmp_path):
    run.save(tmp_path / "first")
    shutil.move(tmp_path / "first", tmp_path / "elsewhere")
    (tmp_path / "elsewhere").chmod(0o555)
    again = sp.load_run(tmp_path / "elsewhere")
    assert again.history.equals(run.history)
    assert again.evaluate(blobs).accuracy > 0.9


def test_the_weights_are_a_plain_state_dict(run, tmp_path):
    from safetensors.torch import load_file

    run.save(tmp_path / "first")
    fresh = sp.mlp(4, [8], 3)
    fresh.load_state_dict(load_file(tmp_path / "first" / "model.safetensors"))
    assert same_weights(fresh, run.model)


class Mine(nn.Module):
    """A class of the user's own, with tied weights and a buffer."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.b.weight = self.a.weight
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.b(self.a(x)))))


def test_a_module_of_ones_own_class_is_passed_in_when_opening(blobs, tmp_path):
    run = sp.train(Mine(), blobs, epochs=2, progress="none", out=tmp_path / "mine")
    with pytest.raises(RunError) as error:
        sp.load_run(tmp_path / "mine")
    assert "a class of your own whose code no file brings; pass a module" in str(error.value)
    again = sp.load_run(tmp_path / "mine", model=Mine())
    assert np.array_equal(
        again.classifier.predict_proba(blobs[0]), run.classifier.predict_proba(blobs[0])
    )
    with pytest.raises(RunError, match=r"do not fit the model"):
        sp.load_run(tmp_path / "mine", model=nn.Linear(4, 3))


def test_saving_never_overwrites(run, tmp_path):
    run.save(tmp_path / "first")
    with pytest.raises(RunError, match=r"exists already"):
        run.save(tmp_path / "first")


DAMAGES = {
    "layout.json": [b"", b"[]", b'{"layout": 99}', None],
    "recipe.toml": [b"lr = -1", b"\xff\xfe", None],
    "record.sqlite": [b"", b"not a database at all, really not", None],
    "classifier.json": [b"", b"[]", b"{}", None],
    "model.safetensors": [b"", b"\xff" * 64, None],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, content) for name, all_ in DAMAGES.items() for content in all_]
)
def test_a_damaged_folder_is_refused_with_one_message(run, tmp_path, name, content):
    path = run.save(tmp_path / "first") / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(sp.SteepestError) as error:
        sp.load_run(tmp_path / "first")
    assert str(tmp_path / "first") in str(error.value)


def test_a_description_that_names_foreign_code_runs_none(run, tmp_path):
    path = run.save(tmp_path / "first") / "classifier.json"
    description = json.loads(path.read_text())
    description["architecture"] = {"type": "os.system", "settings": {"command": "touch owned"}}
    path.write_text(json.dumps(description))
    with pytest.raises(sp.SteepestError, match=r"does not build: 'os.system'"):
        sp.load_run(tmp_path / "first")


def test_a_description_of_an_enormous_net_is_refused_before_it_is_allocated(run, tmp_path):
    path = run.save(tmp_path / "first") / "classifier.json"
    description = json.loads(path.read_text())
    layer = description["architecture"]["children"]["1"]["settings"]
    layer["in_features"] = layer["out_features"] = 10**7
    path.write_text(json.dumps(description))
    with pytest.raises(RunError, match=r"do not fit the saved architecture"):
        sp.load_run(tmp_path / "first")


def test_not_a_number_in_the_record_stays_not_a_number(blobs):
    run = sp.train(None, blobs, epochs=30, lr=1e30, hidden=(8,), progress="none")
    last = run.history["train_loss"][-1]
    assert last is not None
    assert not np.isfinite(last)
    assert pl.Series([run.history["val_loss"][-1]]).is_null().sum() == 0


@pytest.fixture
def small_disk():
    """A file system of 256 KiB.

    It is not below tmp_path: pytest removes old folders there, fails on one that is still mounted
    since a session was killed, and reports that as the failure of a later session.
    """
    folder = Path(tempfile.mkdtemp())
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_leaves_no_half_of_a_run_and_loses_nothing(blobs, small_disk, tmp_path):
    run = sp.train(None, blobs, epochs=1, hidden=(300, 300), progress="none")
    with pytest.raises(RunError) as error:
        run.save(small_disk / "run")
    path = small_disk / "run" / "model.safetensors"
    assert str(error.value).endswith("the disk is full; make room or choose another folder")
    assert not path.exists()
    assert list(small_disk.iterdir()) == []
    run.save(tmp_path / "roomy")
    assert same_weights(sp.load_run(tmp_path / "roomy").model, run.model)


def test_a_disk_that_is_too_small_is_noticed_before_training(blobs, small_disk):
    with pytest.raises(RunError, match=r"it needs about .* MiB, but the disk has .* MiB free"):
        sp.train(None, blobs, progress="none", out=small_disk / "run")
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_up_while_training_sends_the_run_elsewhere(
    blobs, small_disk, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 0, 2**40))
    model = sp.mlp(4, [300, 300], 3, seed=0)
    with pytest.raises(RunError, match=r"nothing is lost: the run was saved in") as error:
        sp.train(model, blobs, epochs=1, progress="none", out=small_disk / "run")
    place = str(error.value).rsplit(" ", 1)[1]
    assert same_weights(sp.load_run(place).model, model)
    shutil.rmtree(place)


def test_a_notebook_shows_status_scores_and_findings(run):
    html = run._repr_html_()
    assert "finished, " in html
    assert f"{run.scores['train'].accuracy:.4f}" in html
    assert all(code in html for code in run.findings.actionable.codes)
