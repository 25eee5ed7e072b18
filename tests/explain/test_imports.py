"""`steepest.explain.backprop`, `.graph` and `.descent` are functions, whatever is imported first."""

import json
import os
import subprocess
import sys
from itertools import permutations

import pytest

FUNCTIONS = ("backprop", "graph", "descent")
PROGRAM = """
import types
{lines}
import steepest
from steepest import explain
for name in {functions}:
    assert isinstance(getattr(explain, name), types.FunctionType), name
    assert getattr(steepest.explain, name) is getattr(explain, name)
from steepest.explain import backprop, descent, graph
assert (backprop, graph, descent) == (explain.backprop, explain.graph, explain.descent)
from steepest.explain import *
assert backprop is explain.backprop
"""
FIRST = [
    *("import steepest.explain." + ", steepest.explain.".join(p) for p in permutations(FUNCTIONS)),
    "import steepest.explain.graph.svg",
    "from steepest.explain.backprop.layers import layer_of",
    "from steepest.explain.descent.animation import descent",
    "from steepest.explain.descent import animation",
    "from steepest.explain import graph; import steepest.explain.graph.layout",
    "from steepest import explain; explain.backprop; import steepest.explain.backprop",
    "import steepest.cli.explain, steepest.explain.backprop.ledger",
    "import importlib; importlib.import_module('steepest.explain.descent')",
]


# Torch takes most of an import's time, and knows nothing of steepest: it is imported once, and each program runs in
# a fork, which has no module of steepest yet.
_FORKS = """
import json, os, sys, traceback
import matplotlib.animation, matplotlib.pyplot, numpy, polars, scipy.stats, torch
assert not any(name.split(".")[0] == "steepest" for name in sys.modules)
failures = []
for program in json.load(sys.stdin):
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            exec(program, {"__name__": "__main__"})
        except BaseException:
            os.write(writes, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(0)
    os.close(writes)
    with open(reads, "rb") as told:
        failures.append(told.read().decode())
    assert os.waitpid(child, 0)[1] == 0, program
print(json.dumps(failures))
"""


@pytest.fixture(scope="module")
def failures():
    """By what is imported first: how the program ended, nothing if well."""
    programs = [PROGRAM.format(lines=first, functions=FUNCTIONS) for first in FIRST]
    command = [sys.executable, "-c", _FORKS]
    ended = subprocess.run(command, input=json.dumps(programs), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return dict(zip(FIRST, json.loads(ended.stdout), strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("first", FIRST)
def test_a_name_of_explain_is_the_function_and_never_the_package(first, failures):
    assert failures[first] == ""
