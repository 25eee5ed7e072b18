"""How the board starts the programs that need torch: Python, without what lies in its folder."""

import sys


def program(module: str) -> list[str]:
    """The command that runs a module.

    -P: the working directory may be one of somebody else's runs, and a file in it that is called
    numpy.py would be imported.
    """
    return [sys.executable, "-P", "-m", module]
