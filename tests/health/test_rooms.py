"""Two functions of health have the names of its subpackages."""

import subprocess
import sys
from types import FunctionType

import steepest as sp
from steepest import health


def test_check_and_watch_are_the_functions():
    for name in ("check", "watch"):
        function = getattr(health, name)
        assert isinstance(function, FunctionType)
        assert function is getattr(sp, name)


def test_they_are_the_functions_whichever_module_is_imported_first():
    first = "from steepest.health.watch.rules import loop; from steepest.health.check import rules"
    code = (
        f"{first}; import steepest; print(steepest.health.check.__name__, steepest.watch.__name__)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["check", "watch"]
