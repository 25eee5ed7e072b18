"""PausedStates: what paused runs go on from, in memory up to a bound and beyond it in a file.

At a rung of successive halving thousands of runs wait. The file has no name any more once it is
open, so a process that is killed leaves nothing: after that the runs begin anew.
"""

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from steepest.files import write_errors

State = NDArray[np.float32]

MOST_BYTES = 64 * 2**20


@dataclass(eq=False, slots=True)
class Paused:
    """A state that is kept. held: it, if it is in memory; else it lies at `place` in the file."""

    size: int
    held: State | None
    place: int = 0


class PausedStates:
    """Keeps states until they are taken back.

    Args:
        folder: Where the file is made; None for the system's folder of temporary files.
        most: Bytes that are held in memory.
    """

    def __init__(self, folder: Path | None, most: int) -> None:
        self._folder, self._most = folder or Path(tempfile.gettempdir()), most
        self._lock = threading.Lock()
        self._held, self._end = 0, 0
        self._file: IO[bytes] | None = None
        self._free: dict[int, list[int]] = {}  # places of states that were taken back, by size

    def put(self, state: State) -> Paused:
        """Keep a copy of a state.

        Raises:
            RunError: The disk is full.
        """
        size = state.nbytes
        with self._lock:
            if self._held + size <= self._most:
                self._held += size
                return Paused(size, state.copy())
            places = self._free.get(size)
            place = places.pop() if places else self._end
            with write_errors(self._folder):
                if self._file is None:
                    self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
                self._file.seek(place)
                self._file.write(state.tobytes())
                self._file.flush()
            self._end = max(self._end, place + size)
            return Paused(size, None, place)

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, paused: Paused) -> State:
        """A state that was put; it is forgotten here."""
        with self._lock:
            if paused.held is not None:
                self._held -= paused.size
                return paused.held
            assert self._file is not None
            self._file.seek(paused.place)
            found = self._file.read(paused.size)
            self._free.setdefault(paused.size, []).append(paused.place)
        return np.frombuffer(found, dtype=np.float32)
