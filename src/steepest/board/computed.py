"""What a page asked for and takes torch: each in a process of its own, one at a time, and kept."""

import json
import subprocess
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from steepest.board.programs import program

PREDICTIONS, SWEEP_SETTINGS = "steepest.board.predictions", "steepest.board.sweep_settings"
_MOST_KEPT, _SECONDS, _MOST_BYTES = 50, 300.0, 2**23
_NONE: dict[str, Any] = {"state": "none"}

Stamp = tuple[int, ...]


class Computed:
    """What a program found of folders, by their ids.

    module: one that prints one JSON object for the folder that it is given.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._known: OrderedDict[str, tuple[Stamp, dict[str, Any]]] = OrderedDict()

    def state(self, id_: str, stamp: Stamp | None = None) -> dict[str, Any]:
        """What is known: state (none, computing, done, failed) and, once done, what was found.

        stamp: of the record now, where nothing but what was found of just that is wanted.
        """
        with self._lock:
            of, told = self._known.get(id_, (stamp, _NONE))
            return told if stamp in (None, of) else _NONE

    def start(self, id_: str, stamp: Stamp, folder: Path) -> dict[str, Any]:
        """Begin with a folder, unless that was done with this record or is being done."""
        with self._lock:
            of, told = self._known.get(id_, (stamp, _NONE))
            if told["state"] == "computing" or (of == stamp and told["state"] == "done"):
                return told
            self._known[id_] = (stamp, {"state": "computing"})
            self._known.move_to_end(id_)
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        threading.Thread(target=self._compute, args=(id_, stamp, folder), daemon=True).start()
        return {"state": "computing"}

    def _compute(self, id_: str, stamp: Stamp, folder: Path) -> None:
        with self._turn:
            found = computed(self._module, folder)
        with self._lock:
            self._known[id_] = (stamp, found)


def computed(module: str, folder: Path) -> dict[str, Any]:
    """What a program finds of a folder, as a page is told."""
    command = [*program(module), str(folder)]
    try:
        ended = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
        if ended.returncode:
            last = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            return {"state": "failed", "problem": "".join(last)[:500] or "it ended unexpectedly"}
        if len(ended.stdout) > _MOST_BYTES:
            return {"state": "failed", "problem": "what was found is too large for a page"}
        told = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        return {"state": "failed", "problem": f"it took more than {_SECONDS:.0f} s"}
    except (OSError, ValueError) as error:
        return {"state": "failed", "problem": str(error)[:500]}
    if "problem" in told:
        return {"state": "failed", "problem": str(told["problem"])[:2000]}
    return {"state": "done", "found": told}
