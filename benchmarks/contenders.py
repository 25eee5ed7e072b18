"""Contenders by name, each measured in a process of its own.

Where a contender is imported from is known by its name, or is the name: `module:function`. The
process that measures one reads a JSON request and writes a JSON line.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Contenders:
    """Those that are known.

    kind: what one is called, method for instance. places: by name where it is, and the package
    whose version is recorded.
    """

    kind: str
    places: Mapping[str, tuple[str, str]]

    def find(self, name: str) -> Any:
        """The contender of this name.

        Raises:
            SystemExit: There is none.
            ImportError: What it needs is not installed.
        """
        place = self.places[name][0] if name in self.places else name
        module, _, function = place.partition(":")
        if not function:
            known = ", ".join(self.places)
            raise SystemExit(
                f"there is no {self.kind} {name}; there are {known}, and module:function"
            )
        return getattr(import_module(module), function)

    def absence(self, name: str) -> str | None:
        """Why it cannot run here, None if it can."""
        try:
            self.find(name)
        except ImportError as error:
            return str(error)
        return None

    def version(self, name: str) -> str | None:
        """Of its package; None for one that is not known or not installed."""
        if name in self.places:
            with contextlib.suppress(PackageNotFoundError):
                return version(self.places[name][1])
        return None


def failure(error: Exception) -> dict[str, Any]:
    """What is written down of a contender that failed: a result, too."""
    return {"status": "failed", "error": f"{type(error).__name__}: {error}"[:500]}


def answer(measure: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The main program of a process that measures: a request on stdin, a line on stdout."""
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    line = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no part of the answer
    json.dump(measure(asked), line)
