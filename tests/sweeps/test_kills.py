"""A sweep that is killed at any moment and gone on with has the table of one that never was."""

import os
import random
import signal
import subprocess
import sys
import time

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
         resume=True)
print("ended", flush=True)
"""


def begin(folder):
    program = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(folder)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_sweep_ends_with_the_same_table(tmp_path):
    whole = begin(tmp_path / "whole")
    assert whole.communicate()[0] == "ended\n"
    chance = random.Random(0)
    for _ in range(3):
        process = begin(tmp_path / "killed")
        time.sleep(chance.uniform(0.02, 0.35))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    killed = begin(tmp_path / "killed")
    assert killed.communicate()[0] == "ended\n"
    one, other = (sp.load_sweep(tmp_path / name) for name in ("whole", "killed"))
    assert one.results.equals(other.results)
    assert one.history().equals(other.history())
    assert one.kept == other.kept
    assert one.results["status"].null_count() == 0


def test_two_processes_do_not_work_on_one_sweep(tmp_path):
    arguments = {"data": "iris", "seeds": 1, "hidden": (4,), "epochs": 1, "out": tmp_path / "a"}
    sp.sweep(None, {"lr": [0.1]}, **arguments)
    with locked(tmp_path / "a"), pytest.raises(RunError, match="another process is working on"):
        sp.sweep(None, {"lr": [0.1]}, resume=True, **arguments)
