"""The compiled extension, `steepest._native`: the only Python that imports it.

Without a C++ compiler steepest is installed without it; who uses it asks here, and does without
where there is none.
"""

import os
from functools import cache
from importlib import import_module
from typing import Any


@cache
def extension() -> Any:
    """The module `steepest._native`, or None where it was not built."""
    try:
        return import_module("steepest._native")
    except ImportError:
        return None


def forced_isa() -> str | None:
    """The instruction set that STEEPEST_ISA asks for; None for the best one."""
    return os.environ.get("STEEPEST_ISA") or None
