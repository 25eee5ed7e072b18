"""Requests to stop: the step that is being taken is finished, the run is kept.

They come by Ctrl-C, by SIGTERM, or by a file called `stop` in the run's folder. The file reaches a
training wherever it goes on, in a thread of a notebook as on another machine, and no other one:
nobody has to find out which process it is.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from steepest.files import open_folder
from steepest.records.layout import STOP_FILE

# How often the folder is looked at: a look takes microseconds, on a slow disk a millisecond.
_SECONDS = 0.2


class StopRequest:
    """True once somebody has asked to stop. by: how: Ctrl-C, SIGTERM or the file.

    folder: where the file is looked for.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.made = False
        self.by = ""
        self._file = None if folder is None else folder / STOP_FILE
        self._next_look = 0.0

    def __bool__(self) -> bool:
        if not self.made and self._file is not None and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _SECONDS
            if os.path.lexists(self._file):
                self.made, self.by = True, f"the file {STOP_FILE!r} in its folder"
        return self.made


@contextmanager
def stop_request(folder: Path | None = None) -> Iterator[StopRequest]:
    """Within the block the first signal sets the request; a second one interrupts at once.

    Outside the main thread Python delivers no signals, and only the file is looked for. folder: of
    the run; None where there is none.
    """
    request = StopRequest(folder)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def on_interrupt(signum: int, frame: FrameType | None) -> None:
        if request.made:
            raise KeyboardInterrupt
        request.made = True
        request.by = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name

    before = {kind: signal.signal(kind, on_interrupt) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def forget_requests(folder: Path) -> None:
    """Remove the file: it asked an earlier process to stop, or has been obeyed."""
    with suppress(OSError), open_folder(folder) as opened:
        opened.remove(STOP_FILE)
