"""Folders of any name that the file system takes."""

import os
import subprocess
import sys

import pytest

import steepest as sp
from steepest.errors import RunError

DATA = ([[float(i % 3), float(i % 2)] for i in range(40)], [i % 2 for i in range(40)])
ODD = ["two\nlines", os.fsdecode(b"\xff\xfe"), "\u4e2d"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


@pytest.mark.parametrize("name", ODD)
def test_a_run_in_a_folder_of_an_odd_name_is_opened_shown_and_gone_on_with(name, tmp_path):
    folder = tmp_path / name
    sp.train(None, DATA, hidden=(8,), epochs=1, out=folder, progress="none", check=False)
    sp.resume(folder, data=DATA, epochs=2, progress="none")
    run = sp.load_run(folder)
    assert run.classifier.predict(DATA[0][:2]).shape == (2,)
    assert run.report(tmp_path / f"{name}.html").stat().st_size
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "steepest", "runs", tmp_path], env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"cannot write .* File name too long"):
        sp.train(None, DATA, epochs=1, out=tmp_path / ("a" * 256), progress="none")
