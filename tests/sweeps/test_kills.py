"""A sweep that is killed at any moment and gone on with has the table of one that never was."""

import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import steepest as sp
from steepest.errors import RunError
from steepest.files import is_full, write_errors
from steepest.sweeps.record import SweepRecord
from steepest.training.session import locked

_PROGRAM = """
import sys, numpy as np, steepest as sp
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 6)).astype(np.float32)
y = (X @ rng.normal(size=(6, 3))).argmax(axis=1)
space = {"lr": [0.01, 0.1, 1e30], "batch_size": [4, 8], "hidden": [(8,), (16, 8)]}
print("begun", flush=True)
sp.sweep(sp.Recipe(epochs=5), space, data=(X, y), seeds=8, keep_best=3, out=sys.argv[1],
         resume=True, progress="none", **eval(sys.argv[2]))
print("ended", flush=True)
"""


def begin(folder, asked):
    program = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(folder), repr(asked)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


def carry_out(folder, asked):
    """To its end; the seconds that it took."""
    begun, process = time.monotonic(), begin(folder, asked)
    assert process.communicate()[0] == "ended\n"
    return time.monotonic() - begun


def kill(folder, asked, seconds):
    """Begin it, or go on with it, and kill it after so many seconds."""
    process = begin(folder, asked)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(
    "asked",
    [{}, {"pruner": "halving"}, {"sampler": "optuna", "trials": 20, "pruner": "optuna"}],
    ids=["grid", "halving", "optuna"],
)
def test_a_killed_sweep_ends_with_the_same_table(tmp_path, asked):
    if "sampler" in asked:
        pytest.importorskip("optuna")
    seconds = carry_out(tmp_path / "whole", asked)
    chance = random.Random()  # a moment that nobody chose
    for _ in range(2):
        kill(tmp_path / "killed", asked, chance.uniform(0.02, 0.4) * seconds)
    carry_out(tmp_path / "killed", asked)
    one, other = (sp.load_sweep(tmp_path / name) for name in ("whole", "killed"))
    assert one.results.equals(other.results)
    assert one.history().equals(other.history())
    assert one.kept == other.kept
    assert one.results["status"].null_count() == 0


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_asha_keeps_what_it_had_decided(tmp_path):
    """Which trials go on depends on who was there first: so what is promised is the record."""
    asked = {"pruner": "asha"}
    seconds = carry_out(tmp_path / "whole", {})
    for _ in range(2):
        kill(tmp_path / "killed", asked, random.uniform(0.1, 0.5) * seconds)
        before = read(tmp_path / "killed")
    carry_out(tmp_path / "killed", asked)
    (decisions, rows), (decided, ended) = read(tmp_path / "killed"), before
    assert decisions[: len(decided)] == decided
    assert ended.join(rows, on=ended.columns, nulls_equal=True).height == ended.height
    whole, killed = (sp.load_sweep(tmp_path / name) for name in ("whole", "killed"))
    assert set(killed.results["status"]) == {"finished", "pruned", "diverged"}
    epochs = killed.history()  # as far as a run came, it has the bits of one that nobody ended
    assert epochs.join(whole.history(), on=epochs.columns, nulls_equal=True).height == epochs.height


def read(folder):
    """The decisions and the rows that a record has; none where it was killed before there was one."""
    if not (folder / "sweep.sqlite").exists():
        return [], pl.DataFrame({"run": []}, schema={"run": pl.String})
    record = SweepRecord.open(folder)
    rows = record.results().filter(pl.col("status").is_not_null())
    found = record.decisions(), rows
    record.close()
    return found


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


@pytest.mark.parametrize(("code", "full"), [(errno.ENOSPC, True), (errno.EACCES, False)])
def test_a_full_disk_is_known_by_what_an_error_comes_from(tmp_path, code, full):
    with pytest.raises(RunError) as caught, write_errors(tmp_path):
        raise OSError(code, os.strerror(code))
    assert is_full(caught.value) == full


def test_a_disk_without_room_for_the_best_net_ends_a_sweep_that_can_be_resumed(small_disk):
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    given = {"data": (rows, rows[:, 0] > 0), "seeds": 1, "hidden": (2000, 200), "epochs": 2}

    def carried_out(out=None):
        space = {"lr": [0.01, 0.1]}
        return sp.sweep(None, space, out=out, resume=True, progress="none", **given)

    full = "best/.*: the disk is full; make room and resume the sweep: what is done is kept"
    with pytest.raises(RunError, match=full):
        carried_out(small_disk / "a")
    subprocess.run(["mount", "-o", "remount,size=90m", str(small_disk)], check=True)
    sweep = carried_out(small_disk / "a")
    assert sweep.results.equals(carried_out().results)
    assert len(list((small_disk / "a" / "best").iterdir())) == 1
    sweep.close()


def test_two_processes_do_not_work_on_one_sweep(tmp_path):
    arguments = {"data": "iris", "seeds": 1, "hidden": (4,), "epochs": 1, "out": tmp_path / "a"}
    sp.sweep(None, {"lr": [0.1]}, **arguments)
    with locked(tmp_path / "a"), pytest.raises(RunError, match="another process is working on"):
        sp.sweep(None, {"lr": [0.1]}, resume=True, **arguments)
