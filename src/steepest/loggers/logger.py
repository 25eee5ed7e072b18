"""Logger: an observer that writes from a thread of its own, and can fail without harm.

The training puts each event in a queue, which takes about a microsecond; the tracker's library is
imported, opened, written to and flushed by the thread. Nothing is dropped: at the end of the
run the thread is waited for as long as it makes progress. What goes wrong in the tracker ends the
logger and not the training: one SteepestWarning says so.
"""

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, ClassVar

from steepest.errors import SteepestWarning, needs, warn
from steepest.loggers.rows import epoch_row, first_row, interval_row, score_row, settings_row
from steepest.run import (
    EpochFinished,
    Event,
    FindingMade,
    IntervalFinished,
    RunStarted,
    RunStopped,
)

_EVENTS_WAITING = 10_000
# A tracker that has not finished one event in so long is given up: its disk or its host hangs.
_SECONDS_WITHOUT_PROGRESS = 30.0


class Logger(ABC):
    """What all loggers share; a logger of your own fills in the four methods below.

    They are called by one thread, in the order `open`, then `write` and `note` as things happen,
    then `end`. What they raise ends the logger with a warning, never the training.
    """

    extra: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self._queue: queue.Queue[Event | None] = queue.Queue(_EVENTS_WAITING)
        self._thread: threading.Thread | None = None
        self._failure: str | None = None
        self._done = 0
        for package in self.packages:
            with needs(self.extra, f"the logger {type(self).__name__}"):
                if find_spec(package) is None:
                    raise ModuleNotFoundError(package, name=package)

    @abstractmethod
    def open(self, settings: Mapping[str, Any], step: int) -> None:
        """Begin a run, or go on with it after `step`. settings: plain values by name."""

    @abstractmethod
    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Numbers by name after so many steps."""

    @abstractmethod
    def note(self, step: int, name: str, text: str) -> None:
        """A line of text: a finding, or how the run ended."""

    @abstractmethod
    def end(self, status: str) -> None:
        """Put everything where it stays.

        Args:
            status: "finished", "interrupted" or "diverged"; "failed" where an error ended the
                training.
        """

    def __call__(self, event: Event) -> None:
        """Take an event of the training; what is slow about it happens elsewhere."""
        if isinstance(event, RunStarted):
            self.close()
            self._begin()
        if self._thread is None:
            return
        if self._failure is None:
            self._put(event)
        if self._failure is not None:
            self._give_up()
        elif isinstance(event, RunStopped):
            self.close()

    def close(self) -> None:
        """Wait until all is written. The training calls it, however it ends."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._failure is None:
            self._put(None)
            self._wait(thread)
        if self._failure is not None:
            self._tell()

    def _begin(self) -> None:
        self._queue, self._failure = queue.Queue(_EVENTS_WAITING), None
        # A tracker that hangs must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._work, args=(self._queue,), name=f"steepest {self._name}", daemon=True
        )
        self._thread.start()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _put(self, event: Event | None) -> None:
        try:
            self._queue.put(event, timeout=_SECONDS_WITHOUT_PROGRESS)
        except queue.Full:
            self._failure = self._failure or _hangs()

    def _wait(self, thread: threading.Thread) -> None:
        done = -1
        while thread.is_alive() and done != self._done:
            done = self._done
            thread.join(_SECONDS_WITHOUT_PROGRESS)
        if thread.is_alive():
            self._failure = self._failure or _hangs()

    def _give_up(self) -> None:
        self._thread = None
        self._tell()

    def _tell(self) -> None:
        text = f"the logger {self._name} failed, and the training goes on without it"
        with suppress(SteepestWarning):  # where warnings are errors, it still ends no training
            warn(f"{text}: {self._failure}", SteepestWarning)

    # In the thread.

    def _work(self, events: "queue.Queue[Event | None]") -> None:
        status = "failed"
        try:
            while (event := events.get()) is not None:
                self._take(event)
                self._done += 1
                if isinstance(event, RunStopped):
                    status = event.status
            self.end(status)
        except BaseException as error:  # SystemExit too: the library's code, not ours
            self._failure = f"{type(error).__name__}: {error}".strip().partition("\n")[0]

    def _take(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.open(settings_row(event), event.step)
                self.write(event.step, first_row(event))
            case IntervalFinished():
                self.write(event.step, interval_row(event))
            case EpochFinished():
                self.write(event.step, epoch_row(event))
            case FindingMade():
                text = f"{event.severity}: {event.details['message']}"
                self.note(event.step, f"finding/{event.code}", text)
            case RunStopped():
                self.write(event.step, score_row(event.scores))
                self.note(event.step, "end", f"{event.status}: {event.reason}")


def _hangs() -> str:
    return f"it took nothing for {_SECONDS_WITHOUT_PROGRESS:g} s"
