"""Evaluations that a page asked for: each in a process of its own, one at a time, and kept."""

import json
import subprocess
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from steepest.board.programs import program

_MOST_KEPT, _SECONDS, _MOST_BYTES = 50, 300.0, 2**23
_NONE: dict[str, Any] = {"state": "none"}

Key = tuple[str, tuple[int, ...]]


class Evaluations:
    """By run and by what its record was then: an older one is of another run."""

    def __init__(self) -> None:
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._known: OrderedDict[Key, dict[str, Any]] = OrderedDict()

    def state(self, key: Key) -> dict[str, Any]:
        """What is known: state (none, computing, done, failed) and, once done, the evaluation."""
        with self._lock:
            return self._known.get(key, _NONE)

    def start(self, key: Key, folder: Path) -> dict[str, Any]:
        """Begin to evaluate a run, unless that was done or is being done."""
        with self._lock:
            if key in self._known and self._known[key]["state"] != "failed":
                return self._known[key]
            self._known[key] = {"state": "computing"}
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        threading.Thread(target=self._evaluate, args=(key, folder), daemon=True).start()
        return {"state": "computing"}

    def _evaluate(self, key: Key, folder: Path) -> None:
        with self._turn:
            found = _run(folder)
        with self._lock:
            self._known[key] = found


def _run(folder: Path) -> dict[str, Any]:
    command = [*program("steepest.board.predictions"), str(folder)]
    try:
        ended = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
        if ended.returncode:
            last = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            return {"state": "failed", "problem": "".join(last)[:500] or "it ended unexpectedly"}
        if len(ended.stdout) > _MOST_BYTES:
            return {"state": "failed", "problem": "the evaluation is too large for a page"}
        told = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        return {"state": "failed", "problem": f"it took more than {_SECONDS:.0f} s"}
    except (OSError, ValueError) as error:
        return {"state": "failed", "problem": str(error)[:500]}
    if "problem" in told:
        return {"state": "failed", "problem": str(told["problem"])[:2000]}
    return {"state": "done", "evaluation": told}
