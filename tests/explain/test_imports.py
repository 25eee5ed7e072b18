"""`steepest.explain.backprop`, `.graph` and `.descent` are functions, whatever is imported first."""

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


@pytest.mark.parametrize("first", FIRST)
def test_a_name_of_explain_is_the_function_and_never_the_package(first):
    program = PROGRAM.format(lines=first, functions=FUNCTIONS)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
