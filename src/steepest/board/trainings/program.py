"""One training that a page asked for: a process of its own, which lives on when the board ends.

    python -P -m steepest.board.trainings.program DESCRIPTOR < order.json

The order says what to do. To the descriptor go lines of JSON: {"begun": true} once the run is
there, and why nothing came of it if so. What is printed lies in the run's folder.
"""

import io
import json
import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from steepest.board.trainings.form import recipe_of, settings_of
from steepest.errors import HealthError, SteepestError, SteepestWarning

# The output is a help for what goes wrong, no record: its beginning says it.
MOST_PRINTED = 2**16
OUTPUT = "output.log"
_MOST_FINDINGS, _MOST_TEXT = 20, 2000


class _Bounded(io.TextIOBase):
    """Standard output and error: the first `MOST_PRINTED` letters, then one line."""

    def __init__(self) -> None:
        self._left = MOST_PRINTED

    def write(self, text: str) -> int:
        if self._left > 0:
            kept = text[: self._left]
            self._left -= len(kept)
            more = "" if self._left > 0 else "\nwhat came after this was not kept\n"
            with suppress(OSError):  # a full disk ends no training by a line of its log
                os.write(2, (kept + more).encode("utf-8", "replace"))
        return len(text)


class _Told:
    """What whoever asked for it is told, if he is still there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)

    def __call__(self, **what: Any) -> None:
        with suppress(OSError):  # the board has ended
            os.write(self._descriptor, json.dumps(what, default=str).encode() + b"\n")


class _Begun:
    """An observer: with its first event the run is in its folder."""

    def __init__(self, told: _Told, folder: Path, log: Path | None) -> None:
        self._told, self._folder, self._log = told, folder, log
        self.was_told = False

    def __call__(self, _: Any) -> None:
        if self.was_told:
            return
        self.was_told = True
        if self._log is not None:
            with suppress(OSError):
                os.replace(self._log, self._folder / OUTPUT)
        self._told(begun=True)


class _Notes:
    """Warnings, each as a line of the output."""

    last = ""

    def __call__(self, message: Warning | str, *_: Any, **__: Any) -> None:
        self.last = str(message)
        print(f"note: {message}")


def _carry_out(order: dict[str, Any], told: _Told, notes: _Notes) -> None:
    from steepest.ensemble import resume, train

    folder = Path(order["folder"])
    log = None if order["log"] is None else Path(order["log"])
    begun = _Begun(told, folder, log)
    if order["do"] == "train":
        train(recipe=recipe_of(order["texts"]), out=folder, progress="none", observers=[begun])
        return
    resume(folder, progress="none", observers=[begun], **settings_of(order["texts"]))
    if not begun.was_told:  # the run had ended, and nothing was trained: a warning says why
        told(problem=notes.last[:_MOST_TEXT])


def _refusal(error: SteepestError) -> dict[str, Any]:
    """Why nothing came of it, small enough for a pipe that nobody empties at once."""
    if isinstance(error, HealthError):  # the message's other lines are the findings
        found = [finding.to_dict() for finding in list(error.findings)[:_MOST_FINDINGS]]
        return {"problem": str(error).partition("\n")[0], "findings": found}
    return {
        "problem": str(error)[:_MOST_TEXT],
        "mistakes": [
            {"text": one.text[:_MOST_TEXT], "settings": one.settings}
            for one in error.mistakes[:_MOST_FINDINGS]
        ],
    }


def main() -> None:
    """Carry out the order."""
    told, notes = _Told(int(sys.argv[1])), _Notes()
    sys.stdout = sys.stderr = _Bounded()
    warnings.simplefilter("always", SteepestWarning)
    warnings.showwarning = notes
    # A shell that started the board in the background has its programs ignore Ctrl-C.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.default_int_handler)
    try:
        _carry_out(json.loads(sys.stdin.read()), told, notes)
    except SteepestError as error:
        print(f"error: {error}")
        told(**_refusal(error))
        sys.exit(2)
    except KeyboardInterrupt:
        told(problem="it was cancelled")
        sys.exit(130)
    except Exception as error:
        traceback.print_exc()
        told(problem=f"{type(error).__name__}: {error}"[:_MOST_TEXT])
        sys.exit(1)


if __name__ == "__main__":
    main()
