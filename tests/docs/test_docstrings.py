"""Docstrings with an Args section name the parameters that there are, in their order."""

import ast
import re
from pathlib import Path

import pytest

import steepest as sp
from steepest import report

SOURCES = sorted((Path(__file__).parents[2] / "src" / "steepest").rglob("*.py"))


def documented(docstring):
    """The names in the Args section of a docstring."""
    match = re.search(r"^Args:\n((?:    .*\n|\n)+)", f"{docstring}\n", re.MULTILINE)
    names = re.findall(r"^    (\*{0,2}\w+(?:, \w+)*):", match[1], re.MULTILINE) if match else []
    return [name for group in names for name in group.split(", ")]


def parameters(function):
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    names += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    names += [a.arg for a in arguments.kwonlyargs]
    names += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return [name for name in names if name not in ("self", "cls", "_")]


def functions(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node, ast.get_docstring(node) or ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.parent.name + "/" + path.name)
def test_args_are_the_parameters(path):
    wrong = {
        node.name: (names, parameters(node))
        for node, docstring in functions(path)
        if (names := documented(docstring)) and names != parameters(node)
    }
    assert wrong == {}


@pytest.mark.parametrize("room", [sp.explain, report], ids=["explain", "report"])
def test_each_parameter_of_a_public_function_is_documented(room):
    public = getattr(room, "__all__", None) or [n for n in vars(room) if not n.startswith("_")]
    there = {
        node.name: (node, docstring)
        for path in SOURCES
        if room.__name__.rpartition(".")[2] in path.parts
        for node, docstring in functions(path)
        if node.name in public
    }
    assert there
    for name, (node, docstring) in there.items():
        assert documented(docstring) == parameters(node), name
        assert "Returns:" in docstring, name
