"""Short forms of what is done at length by kills.py, fuzz.py and differential.py."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from abuse import differential
from steepest.engine.native import extension

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


def output(script, *arguments):
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments], capture_output=True, text=True, timeout=1500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_run_that_is_killed_or_whose_disk_fails_ends_with_the_same_bits():
    lines = output("kills.py", "--kills", "8", "--every", "13").splitlines()
    kills = [int(number) for line in lines for number in re.findall(r"'kills': (\d+)", line)]
    assert len(kills) == 2
    assert min(kills) >= 4
    reached = [int(re.search(r"each of (\d+)", line)[1]) for line in lines[2:]]
    assert len(reached) == 3
    assert min(reached) >= 3


def test_damaged_files_are_read_or_refused():
    text = output("fuzz.py", "--inputs", "400", "--seed", "7")
    assert "400 inputs, 0 failures" in text
    counts = dict(re.findall(r"  (.+) (?:read|refused): (\d+)", text))
    assert len(counts) == 18  # each kind of file was tried


def can_limit_memory():
    folders = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
    return next((os.access(f, os.W_OK) for f in folders if (f / "cgroup.procs").exists()), False)


@pytest.mark.skipif(not can_limit_memory(), reason="control groups cannot be made here")
@pytest.mark.parametrize("kind", ["array", "parquet"])
def test_data_of_four_times_the_memory_are_trained_on(kind, tmp_path):
    times, accuracy = output("larger_than_memory.py", kind, tmp_path, "520000000").split()
    assert float(times) == pytest.approx(4, abs=0.01)
    assert float(accuracy) > 0.95


@pytest.mark.skipif(extension() is None, reason="the native engine is not built here")
@pytest.mark.parametrize("number", range(5))
def test_random_cases_on_the_native_engine_are_as_near_to_float64_as_torch(number):
    assert not differential.judge(differential.make_case(1, number)).is_unexplained


@pytest.mark.skipif(extension() is None, reason="the native engine is not built here")
def test_an_engine_that_errs_is_found(monkeypatch):
    exact = differential.native

    def spoiled(case):
        return {name: tensor + 1e-3 for name, tensor in exact(case).items()}

    monkeypatch.setattr(differential, "native", spoiled)
    monkeypatch.setattr(differential, "OTHER_ORDERS", 1)
    assert differential.judge(differential.make_case(1, 0)).is_unexplained
