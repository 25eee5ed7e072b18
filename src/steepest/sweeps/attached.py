"""Where Sweep finds what rooms above this one do with it; see docs/decisions/0013."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from steepest.errors import RunError


def _nothing_attached(*_: Any, **__: Any) -> NoReturn:
    raise RunError("this sweep came past the package's public names: take steepest.load_sweep")


class _Attached:
    """What is attached; see `attach`."""

    plot: Callable[..., Any] = staticmethod(_nothing_attached)
    report: Callable[..., Path] = staticmethod(_nothing_attached)


attached = _Attached()


def attach(*, plot: Callable[..., Any], report: Callable[..., Path]) -> None:
    """Give every sweep its methods of these names, which this room may not import."""
    attached.plot, attached.report = plot, report
