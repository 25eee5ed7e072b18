"""The trainings that this board has begun: each a process of its own, which outlives the board."""

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steepest.board.programs import program
from steepest.board.trainings.program import MOST_PRINTED, OUTPUT
from steepest.errors import RunError
from steepest.files import require_plain_file, write_errors
from steepest.records.layout import LOCK_FILE

# Trainings of this board that may go on at once, and those that it remembers.
MOST_AT_ONCE, _MOST_KNOWN = 4, 50
_LAST_LINES = 12
# Seconds that a process gets to end in, after the record of its run says that the run has.
_LEAVING = 30.0


@dataclass
class Training:
    """A training that a page asked for. told: what its process has said of it.

    log: where its output lies until there is a run; None where there is one already.
    """

    folder: Path
    log: Path | None
    process: "subprocess.Popen[bytes]"
    begun_at: float = field(default_factory=time.monotonic)
    told: dict[str, Any] = field(default_factory=dict)
    ended: bool = False
    was_cancelled: bool = False


class Trainings:
    """Begins trainings, and says what became of them."""

    def __init__(self) -> None:
        self._lock = threading.Condition()  # notified when a process has ended
        self._known: OrderedDict[str, Training] = OrderedDict()

    def begin(self, folder: Path, texts: dict[str, str]) -> str:
        """Train a new run in this folder, whose parents may be missing; an id to ask by.

        texts: of the form.
        """
        with write_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
        log = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.log"
        return self._start("train", folder, texts, log)

    def go_on(self, folder: Path, texts: dict[str, str]) -> str:
        """Resume the run in this folder with these settings changed; an id to ask by.

        Nobody trains it any more, as its record says; the process that did may still be ending.
        """
        require_plain_file(folder / OUTPUT, one_name=True)
        with self._lock:
            self._lock.wait_for(lambda: not self._has_begun(folder), _LEAVING)
        return self._start("resume", folder, texts, None)

    def state(self, id_: str) -> tuple[dict[str, Any], Path]:
        """What became of it, and the folder of its run.

        state: starting, begun (the run is in its folder, and tells the rest), or failed, with the
        problem, its mistakes and findings, the last lines of what it printed, and whether it was
        cancelled.
        """
        with self._lock:
            training = self._known.get(id_)
            if training is None:
                raise RunError("this board has begun no such training, or it is long ago")
            told, ended = dict(training.told), training.ended
        state = "begun" if told.pop("begun", False) else "failed" if ended else "starting"
        seconds = time.monotonic() - training.begun_at
        return {"state": state, "seconds": seconds, **told}, training.folder

    def cancel(self, id_: str) -> None:
        """End one that has not begun yet, as Ctrl-C would; asked again, at once."""
        with self._lock:
            training = self._known.get(id_)
            if training is None or training.ended:
                return
            if training.told.get("begun"):
                raise RunError("the run has begun: stop it on its page, which keeps it")
            kind = signal.SIGKILL if training.was_cancelled else signal.SIGINT
            training.was_cancelled = True
            # Our own child, whose number is nobody else's before we have waited for it.
            training.process.send_signal(kind)

    def _has_begun(self, folder: Path) -> bool:
        """Whether the process of a run that was there has not ended."""
        return any(
            one.folder == folder and one.told.get("begun") and not one.ended
            for one in self._known.values()
        )

    def _start(self, do: str, folder: Path, texts: dict[str, str], log: Path | None) -> str:
        order = {"do": do, "folder": str(folder), "texts": texts, "log": log and str(log)}
        with self._lock:
            if sum(not one.ended for one in self._known.values()) >= MOST_AT_ONCE:
                raise RunError(
                    f"this board trains {MOST_AT_ONCE} runs at once, and so many go on: stop one, "
                    "or wait"
                )
            if any(not one.ended and one.folder == folder for one in self._known.values()):
                raise RunError("this run is being begun already")
            output = folder / OUTPUT if log is None else log
            fresh = os.O_TRUNC if log is None else os.O_EXCL
            reading, process = _process(json.dumps(order).encode(), output, fresh)
            id_ = secrets.token_urlsafe(9)
            training = self._known[id_] = Training(folder, log, process)
            ended = [key for key, one in self._known.items() if one.ended]
            for key in ended[: max(0, len(self._known) - _MOST_KNOWN)]:
                del self._known[key]
        threading.Thread(target=self._follow, args=(training, reading), daemon=True).start()
        return id_

    def _follow(self, training: Training, reading: int) -> None:
        """Read what the process tells until it ends."""
        with open(reading, "rb") as lines:
            for line in lines:
                with suppress(ValueError), self._lock:
                    training.told |= json.loads(line)
        code = training.process.wait()
        printed = _what_was_printed(training)
        with self._lock:
            training.ended = True
            self._lock.notify_all()
            if not training.told.get("begun"):
                training.told.setdefault("problem", _how_it_ended(code))
                training.told["printed"] = printed
                training.told["cancelled"] = training.was_cancelled


def _process(order: bytes, log: Path, fresh: int) -> tuple[int, "subprocess.Popen[bytes]"]:
    """The process that carries an order out, and where what it tells can be read.

    It has a session of its own, so that neither the board's end nor Ctrl-C in its terminal reaches
    it. fresh: the flag that opens its log: as a new file, or emptied.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | fresh | getattr(os, "O_NOFOLLOW", 0)
    with write_errors(log):
        printed = os.open(log, flags, 0o644)
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [*program("steepest.board.trainings.program"), str(writing)],
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            pass_fds=(writing,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        raise RunError(f"no process can be started: {error.strerror or error}") from None
    finally:
        os.close(printed)
        os.close(writing)
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(order)
    return reading, process


def _what_was_printed(training: Training) -> str:
    """The last lines of its output, where no run has them; what it began is taken away."""
    if training.log is None or training.told.get("begun"):
        return ""
    printed = ""
    with suppress(OSError):
        with open(training.log, "rb") as file:
            printed = file.read(2 * MOST_PRINTED).decode("utf-8", "replace")
        training.log.unlink()
    with suppress(OSError):  # one that was killed leaves its folder, with nothing but the lock
        if os.listdir(training.folder) == [LOCK_FILE]:
            (training.folder / LOCK_FILE).unlink()
            training.folder.rmdir()
    return "\n".join(printed.strip().splitlines()[-_LAST_LINES:])


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended unexpectedly, with exit code {code}"
    with suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}, as where memory ran out"
    return f"it was ended by signal {-code}"
