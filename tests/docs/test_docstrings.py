"""Docstrings with an Args section name the parameters that there are, in their order."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import steepest as sp
from steepest import health, report

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


NAMES = ("train", "resume", "find_lr", "load_data", "load_run", "split", "check", "watch")
CLASSES = (
    *(sp.Dataset, sp.Samples, sp.Recipe, sp.Run, sp.Classifier, sp.Evaluation),
    *(health.Evidence, health.Finding),
)
MORE = (health.Findings, health.Watch)  # whose attributes are not what they are made of


def public_functions():
    """The functions of the front door, and the methods of its classes, with their parameters."""
    for name in NAMES:
        yield getattr(sp, name)
    for kind in (*CLASSES, *MORE):
        for name, member in vars(kind).items():
            function = getattr(member, "__func__", member)
            if inspect.isfunction(function) and not name.startswith("_"):
                yield function


@pytest.mark.parametrize("function", list(public_functions()), ids=lambda f: f.__qualname__)
def test_the_front_door_documents_each_parameter(function):
    there = [
        {p.VAR_KEYWORD: "**", p.VAR_POSITIONAL: "*"}.get(p.kind, "") + p.name
        for p in inspect.signature(function).parameters.values()
        if p.name not in ("self", "cls")
    ]
    assert function.__doc__
    assert documented(inspect.getdoc(function)) == there


@pytest.mark.parametrize("kind", [k for k in CLASSES if k is not sp.Recipe])
def test_the_front_door_documents_each_attribute(kind):
    text = inspect.getdoc(kind)
    names = (
        [field.name for field in dataclasses.fields(kind)]
        if dataclasses.is_dataclass(kind)
        else list(inspect.signature(kind).parameters)
    )
    assert re.findall(r"^    (\w+):", text.partition("Attributes:")[2], re.MULTILINE) == names
