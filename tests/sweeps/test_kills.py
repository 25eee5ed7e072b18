"""A sweep that is killed at any moment and gone on with has the table of one that never was."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import steepest as sp
from steepest.errors import RunError
from steepest.training.session import locked

_PROGRAM = """
import sys, numpy as np, steepest as sp
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 6)).astype(np.float32)
y = (X @ rng.normal(size=(6, 3))).argmax(axis=1)
space = {"lr": [0.01, 0.1, 1e30], "batch_size": [4, 8], "hidden": [(8,), (16, 8)]}
print("begun", flush=True)
sp.sweep(sp.Recipe(epochs=5), space, data=(X, y), seeds=8, keep_best=3, out=sys.argv[1],
         pruner=sys.argv[2], resume=True, progress="none")
print("ended", flush=True)
"""


def begin(folder, pruner="none"):
    program = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(folder), pruner]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(("pruner", "kills"), [("none", 2), ("halving", 2)])
def test_a_killed_sweep_ends_with_the_same_table(tmp_path, pruner, kills):
    whole = begin(tmp_path / "whole", pruner)
    assert whole.communicate()[0] == "ended\n"
    chance = random.Random(0)
    for _ in range(kills):
        process = begin(tmp_path / "killed", pruner)
        time.sleep(chance.uniform(0.02, 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    killed = begin(tmp_path / "killed", pruner)
    assert killed.communicate()[0] == "ended\n"
    one, other = (sp.load_sweep(tmp_path / name) for name in ("whole", "killed"))
    assert one.results.equals(other.results)
    assert one.history().equals(other.history())
    assert one.kept == other.kept
    assert one.results["status"].null_count() == 0


@pytest.fixture
def small_disk():
    """A file system of 400 KiB in memory; making it larger is making room."""
    place = Path(tempfile.mkdtemp())
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(place)]
    try:
        made = os.name == "posix" and subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("only root can mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


def test_a_full_disk_ends_a_sweep_and_what_is_done_is_kept(small_disk):
    rows = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    space = {"lr": list(np.geomspace(0.01, 0.1, 80))}
    given = {"data": (rows, rows[:, 0] > 0), "seeds": 8, "hidden": (4,), "epochs": 8}

    def carried_out(out=None):
        return sp.sweep(None, space, out=out, resume=True, progress="none", **given)

    with pytest.raises(RunError, match="the disk is full; make room and resume the sweep"):
        carried_out(small_disk / "a")
    kept = sp.load_sweep(small_disk / "a").timings.drop_nulls()
    assert 0 < kept.height < 640
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    sweep = carried_out(small_disk / "a")
    assert sweep.results.equals(carried_out().results)
    assert sweep.timings.join(kept, on=["run", "seconds"]).height == kept.height
    sweep.close()


def test_two_processes_do_not_work_on_one_sweep(tmp_path):
    arguments = {"data": "iris", "seeds": 1, "hidden": (4,), "epochs": 1, "out": tmp_path / "a"}
    sp.sweep(None, {"lr": [0.1]}, **arguments)
    with locked(tmp_path / "a"), pytest.raises(RunError, match="another process is working on"):
        sp.sweep(None, {"lr": [0.1]}, resume=True, **arguments)
