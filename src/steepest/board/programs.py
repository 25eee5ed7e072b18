"""Programs of the board that need torch: how they are started, and how they tell what is found."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steepest.board.reading import plain_tree
from steepest.errors import SteepestError


def program(module: str) -> list[str]:
    """The command that runs a module.

    -P: the working directory may be one of somebody else's runs, and a file in it that is called
    numpy.py would be imported.
    """
    return [sys.executable, "-P", "-m", module]


def tell(find: Callable[[Path], dict[str, Any]]) -> None:
    """Print what is found of the folder that the command names, or why nothing is: one object."""
    os.nice(10)  # a training on the same machine comes first
    try:
        told = find(Path(sys.argv[1]))
    except SteepestError as error:
        told = {"problem": str(error)}
    print(json.dumps(plain_tree(told), allow_nan=False))
