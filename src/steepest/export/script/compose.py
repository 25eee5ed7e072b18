"""A script's text put together: of pieces, imports and constants what its own code uses."""

import ast
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from steepest.export.script.lines import WIDTH, one_a_line, wrapped
from steepest.export.script.pieces import constants

# By name: its value, and a comment or "".
Constants = dict[str, tuple[Any, str]]

_STANDARD = {
    "copy": "import copy",
    "csv": "import csv",
    "gzip": "import gzip",
    "math": "import math",
    "Counter": "from collections import Counter",
    "Iterable": "from collections.abc import Iterable",
    "datetime": "from datetime import datetime",
    "Path": "from pathlib import Path",
}
_INSTALLED = {
    "np": "import numpy as np",
    "pl": "import polars as pl",
    "Image": "from PIL import Image, ImageOps",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    **{f"load_{name}": "" for name in ("breast_cancer", "digits", "iris", "wine")},
}
_PURPOSES = (
    *("SHUFFLE", "SPLIT", "INITIALISATION", "DROPOUT", "STOCHASTIC_DEPTH", "SAMPLE"),
    *("CUTOUT", "SHIFT", "CROP", "FLIP"),
)


class Section(NamedTuple):
    """One part of a script.

    Attributes:
        title: Its heading.
        modules: Whose functions and classes its code, or other pieces, may use.
        code: Its own code.
    """

    title: str
    modules: tuple[ModuleType, ...]
    code: tuple[str, ...]


def compose(summary: str, settings: Constants, sections: Iterable[Section], end: str) -> str:
    """The text of a script.

    Args:
        summary: Its docstring.
        settings: Its constants; those that are used are written.
        sections: Its parts, in their order.
        end: Its last lines.
    """
    sections = list(sections)
    pieces = {name: piece for part in sections for name, piece in _pieces(part.modules).items()}
    sources: dict[str, str] = {}
    used = _names([*(code for part in sections for code in part.code), end])
    while found := [name for name in pieces if name in used and name not in sources]:
        sources |= {name: inspect.getsource(pieces[name]).strip() for name in found}
        used |= _names(sources[name] for name in found)
    blocks = [f'"""{summary}"""\n\n{_imports(used)}\n\n' + "\n".join(_constants(used, settings))]
    for title, modules, code in sections:
        own = [sources[name] for name in _pieces(modules) if name in sources]
        if own or code:
            blocks.append("\n\n\n".join([f"# {title}.", *own, *code]))
    whole = "\n\n\n".join([*blocks, end.strip()])
    return "\n".join(part for line in whole.splitlines() for part in wrapped(line)) + "\n"


def literal(value: Any) -> str:
    """A plain value as Python code, text in double quotes."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
        case set():
            return "{" + ", ".join(sorted(map(literal, value))) + "}"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case tuple():
            return "(" + ", ".join(map(literal, value)) + "," * (len(value) == 1) + ")"
    return repr(value)


def _pieces(modules: Iterable[ModuleType]) -> dict[str, Any]:
    """The functions and classes of these modules, in their order."""
    return {
        name: member
        for module in modules
        for name, member in vars(module).items()
        if getattr(member, "__module__", None) == module.__name__
    }


def _names(texts: Iterable[str]) -> set[str]:
    """All names that some code mentions."""
    nodes = (node for text in texts for node in ast.walk(ast.parse(text)))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _imports(used: set[str]) -> str:
    standard = [line for name, line in _STANDARD.items() if name in used]
    installed = [
        line or f"from sklearn.datasets import {name}"
        for name, line in _INSTALLED.items()
        if name in used
    ]
    if "nn" in used or "Tensor" in used:
        both = ", ".join(name for name in ("Tensor", "nn") if name in used)
        installed.append(f"from torch import {both}")
    averages = ("AveragedModel", "get_ema_multi_avg_fn", "update_bn")
    if taken := ", ".join(name for name in averages if name in used):
        installed.append(f"from torch.optim.swa_utils import {taken}")
    plain = sorted(standard, key=lambda line: line.startswith("from"))
    others = sorted(installed, key=lambda line: (line.startswith("from"), line.split()[1]))
    return "\n\n".join("\n".join(group) for group in (plain, others) if group)


def _constants(used: set[str], settings: Mapping[str, tuple[Any, str]]) -> Iterator[str]:
    for name, (value, comment) in settings.items():
        if name in used:
            said = f"  # {comment}" if comment else ""
            line = f"{name} = {literal(value)}{said}"
            if len(line) > WIDTH and isinstance(value, (dict, list, set, tuple)):
                first, *others = one_a_line(f"{name} = {literal(value)}")
                yield from (first + said, *others)
            else:
                yield line
    purposes = [name for name in _PURPOSES if name in used]
    if purposes:
        yield "# What random numbers are for."
        yield from (f"{name} = {getattr(constants, name)}" for name in purposes)
