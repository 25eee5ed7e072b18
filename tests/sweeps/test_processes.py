"""Worker processes: runs that torch trains have the bits of each alone, and a dead worker is told."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import SteepestWarning
from steepest.sweeps import processes
from steepest.sweeps.metrics import Metric
from steepest.sweeps.preparations import Preparations
from steepest.sweeps.processes import ProcessWorkers, _is_elsewhere, _mapped, _MappedFile
from steepest.sweeps.remote import Shared

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors are inherited")

RECIPE = sp.Recipe(epochs=2, hidden=(8,), engine="torch", test=0.2)
SPACE = {"lr": [0.01, 0.1, 1e30], "dropout": [0.0, 0.3]}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(240, 6)).astype(np.float32)
    return inputs, (inputs @ rng.normal(size=(6, 3))).argmax(axis=1)


@pytest.fixture
def early(monkeypatch):
    """Workers pay after the first run, and two of them are there; which processes began."""
    monkeypatch.setattr(processes, "SECONDS_THAT_PAY", 0.0)
    begun, begin = [], subprocess.Popen

    def noted(*line, **options):
        begun.append(begin(*line, **options))
        return begun[-1]

    monkeypatch.setattr(processes.subprocess, "Popen", noted)
    return begun


def carried_out(rows, **arguments):
    given = {"data": rows, "seeds": 2, "progress": "none", "workers": 2}
    return sp.sweep(RECIPE, SPACE, **given | arguments)


@pytest.mark.parametrize("pruner", ["none", "halving"])
def test_the_table_is_that_of_one_process(rows, early, monkeypatch, pruner, tmp_path):
    with monkeypatch.context() as alone:
        alone.setattr(processes, "SECONDS_THAT_PAY", 1e9)
        one = carried_out(rows, pruner=pruner)
        assert not early
    several = carried_out(rows, pruner=pruner, out=tmp_path / "a", keep_best=2)
    assert len(early) == 2
    assert all(process.poll() is not None for process in early)  # they are gone
    assert several.results.equals(one.results)
    assert several.history().equals(one.history())
    name = several.kept[0]
    alone = sp.train(
        None, rows, several.recipe_of(name), progress="none", check=False, watch=False
    ).model.state_dict()
    found = several.run(name).model.state_dict()
    assert all(torch.equal(found[key], alone[key]) for key in alone)


def test_a_worker_that_is_killed_is_told_and_its_run_is_given_to_another(rows, early, monkeypatch):
    carry_out = processes._Worker.carry_out

    def kill_the_first(self, order):
        if len(early) == 1:
            self._process.send_signal(signal.SIGKILL)
        return carry_out(self, order)

    monkeypatch.setattr(processes._Worker, "carry_out", kill_the_first)
    monkeypatch.setattr(ProcessWorkers, "_serve", one_after_the_other(ProcessWorkers._serve))
    with pytest.warns(SteepestWarning, match="ended by signal 9; run [0-9a-f]{16} is given to"):
        sweep = carried_out(rows)
    assert len(early) == 3
    assert set(sweep.results["status"]) == {"finished", "diverged"}


def test_a_run_that_kills_every_worker_fails_and_the_others_do_not(rows, early, monkeypatch):
    carry_out = processes._Worker.carry_out

    def kill_at(self, order):
        if order.recipe.dropout and order.recipe.lr == 0.1:
            self._process.send_signal(signal.SIGKILL)
        return carry_out(self, order)

    monkeypatch.setattr(processes._Worker, "carry_out", kill_at)
    with pytest.warns(SteepestWarning, match="ended by signal 9"):
        sweep = carried_out(rows)
    failed = sweep.results.filter(pl.col("status") == "failed")
    assert set(failed.select("lr", "dropout").iter_rows()) == {(0.1, 0.3)}
    assert failed["cause"][0] == "RunError: its worker process ended twice by signal 9"
    assert sweep.results["status"].null_count() == 0


def one_after_the_other(serve):
    """The second thread begins when the first has a worker: which one is the first is certain."""
    begun = []

    def served(self):
        begun.append(None)
        time.sleep(0.5 * (len(begun) - 1))
        serve(self)

    return served


def test_arrays_lie_in_the_file_and_frames_come_back(rows):
    frame = pl.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    shared = Preparations(None, rows)
    shared.whole(RECIPE)
    read = shared.read | {"frame": sp.load_data((frame, np.array([0, 1])))}
    file = _MappedFile(Shared(None, read, Metric.of("val_loss"), 1))
    found = _mapped(file.fileno())
    file.close()
    (whole, other) = found.read.values()
    assert np.array_equal(whole.train.inputs, rows[0])
    assert not whole.train.inputs.flags.owndata
    assert other.train.inputs.equals(frame)


def test_what_a_worker_cannot_import_is_trained_here():
    assert _is_elsewhere(None)
    assert _is_elsewhere(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    assert not _is_elsewhere(lambda recipe: nn.Linear(2, 2))

    class Local(nn.Module):
        pass

    assert not _is_elsewhere(Local())


def test_ctrl_c_ends_sweep_and_workers(tmp_path):
    program = f"""
import numpy as np, steepest as sp
from steepest.sweeps import processes
processes.SECONDS_THAT_PAY = 0.0
rng = np.random.default_rng(0)
X = rng.normal(size=(4000, 6)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
class Told(processes._Worker):
    def carry_out(self, order):
        print(f"{{self._process.pid}}\\n", end="", flush=True)  # in one piece
        return super().carry_out(order)
processes._Worker = Told
sp.sweep(sp.Recipe(epochs=60, hidden=(8,), engine="torch", batch_size=8), {{"lr": [0.1]}},
         data=(X, y), seeds=3, workers=2, out={str(tmp_path / "a")!r}, progress="none", steps=300)
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program], stdout=-1, text=True
    )
    workers = [int(process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
