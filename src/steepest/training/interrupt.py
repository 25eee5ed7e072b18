"""Ctrl-C and SIGTERM as requests: the step that is being taken is finished, the run is kept."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """True once the user has asked to stop. by: how, Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        self.made = False
        self.by = ""

    def __bool__(self) -> bool:
        return self.made


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Within the block the first signal sets the request; a second one interrupts at once.

    Outside the main thread Python delivers no signals, and nothing is changed.
    """
    request = StopRequest()
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
