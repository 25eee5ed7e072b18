"""Where Run finds what rooms above this one do with it; see docs/decisions/0013."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from steepest.errors import RunError


def _nothing_attached(*_: Any, **__: Any) -> NoReturn:
    raise RunError("this run came past the package's public names: take steepest.load_run")


class _Attached:
    """What is attached; see `attach`."""

    resume: Callable[..., Any] = staticmethod(_nothing_attached)
    report: Callable[..., Path] = staticmethod(_nothing_attached)
    export: Callable[..., dict[str, Any]] = staticmethod(_nothing_attached)
    card: Callable[..., Path] = staticmethod(_nothing_attached)
    to_script: Callable[..., Path] = staticmethod(_nothing_attached)
    board: Callable[..., Any] = staticmethod(_nothing_attached)


attached = _Attached()


def attach(
    *,
    resume: Callable[..., Any],
    report: Callable[..., Path],
    export: Callable[..., dict[str, Any]],
    card: Callable[..., Path],
    to_script: Callable[..., Path],
    board: Callable[..., Any],
) -> None:
    """Give every run its methods of these names, which this room may not import."""
    attached.resume, attached.report, attached.export = resume, report, export
    attached.card, attached.to_script, attached.board = card, to_script, board
