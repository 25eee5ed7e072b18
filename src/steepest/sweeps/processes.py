"""Worker processes for runs that torch trains: it has its generators and threads once a process.

The rows lie in one file that has no name and that every process maps, so they are there once. A
worker imports neither the user's program nor runs it again: a model that is defined there is
trained in this process. Whose worker dies, that run is given to a new one, once.
"""

import mmap
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from types import FunctionType
from typing import IO, Any

import numpy as np
import torch
from torch import nn

from steepest.errors import RunError, SteepestWarning, warn
from steepest.sweeps.executor import Done, Task
from steepest.sweeps.preparations import Preparations
from steepest.sweeps.remote import Order, RemoteTraining, RemoteWorker, Report, Shared
from steepest.training.interrupt import StopRequest

# Workers take some seconds to begin. They pay where as much work waits, or was done here already.
SECONDS_THAT_PAY = 8.0
_SECONDS_BETWEEN_LOOKS = 0.1
_ALIGNED = 64
_PROGRAM = "from steepest.sweeps.processes import work; work(*map(int, __import__('sys').argv[1:]))"


class _Stopped(Exception):  # noqa: N818
    """Somebody asked to stop while a worker was at work."""


class ProcessWorkers:
    """Carries out tasks in processes of their own, or here where that would not pay.

    Args:
        count: How many processes.
        shared: What all runs have in common.
        preparations: Of this process.
        limit: What a run may cost at most to be among the best so far.
        here: Carries out a task in this process.
        deliver: Takes what is done, from any thread.
        stop: True once somebody has asked to stop.
    """

    def __init__(
        self,
        count: int,
        shared: Callable[[], Shared],
        preparations: Preparations,
        limit: Callable[[], float],
        here: Callable[[Task], Done],
        deliver: Callable[[Done], None],
        stop: StopRequest,
    ) -> None:
        self._count, self._shared, self._preparations = count, shared, preparations
        self._limit, self._here, self._deliver, self._stop = limit, here, deliver, stop
        self._waiting: deque[Task] = deque()
        self._here_seconds, self._here_runs = 0.0, 0
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._rows: _MappedFile | None = None
        self._closed = False
        self._fits = count > 1 and os.name == "posix" and _is_elsewhere(preparations.model)

    def submit(self, task: Task) -> None:
        """Have a task carried out."""
        if self._threads and not isinstance(task.training, RemoteTraining | None):
            self._deliver(self._here(task))  # it began here
        elif self._threads:
            self._tasks.put(task)
        else:
            self._waiting.append(task)

    def step(self) -> bool:
        """Carry out the next task that waits, or begin the workers; whether there was one."""
        if not self._waiting:
            return False
        if self._pays():
            self._begin()
            return True
        begun = time.perf_counter()
        self._deliver(self._here(self._waiting.popleft()))
        self._here_seconds += time.perf_counter() - begun
        self._here_runs += 1
        return True

    def close(self) -> None:
        """End the workers; what is under way is lost."""
        self._closed = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        if self._rows is not None:
            self._rows.close()

    def _pays(self) -> bool:
        if not self._fits or not self._here_runs or self._stop:
            return False
        left = len(self._waiting) * self._here_seconds / self._here_runs
        return max(left, self._here_seconds) > SECONDS_THAT_PAY and len(self._waiting) > 1

    def _begin(self) -> None:
        try:
            self._rows = _MappedFile(self._shared())
        except Exception:  # a model that cannot be sent
            self._fits = False
            return
        for _ in range(self._count):
            thread = threading.Thread(target=self._serve, daemon=True)
            self._threads.append(thread)
            thread.start()
        waiting, self._waiting = self._waiting, deque()
        for task in waiting:
            self.submit(task)

    def _serve(self) -> None:
        """One worker and its successors, as long as there are tasks."""
        worker: _Worker | None = None
        while (task := self._tasks.get()) is not None:
            done, worker = self._carried_out(task, worker)
            self._deliver(done)
        if worker is not None:
            worker.end()

    def _carried_out(self, task: Task, worker: "_Worker | None") -> tuple[Done, "_Worker | None"]:
        order, how = Order(task.name, task.recipe, task.epochs, self._limit()), ""
        for _ in range(2):
            if self._is_stopped():
                return Done(task, None, None), worker
            try:
                if worker is None:
                    assert self._rows is not None
                    worker = _Worker(self._rows, self._is_stopped)
                report = worker.carry_out(order)
            except _Stopped:
                assert worker is not None
                worker.end()
                return Done(task, None, None), None
            except (EOFError, OSError):
                how = "" if worker is None else worker.end()
                worker = None
                warn(f"a worker process of the sweep ended{how}; run {task.name} is given to a new "
                     "one", SteepestWarning)  # fmt: skip
                continue
            task.training = RemoteTraining(report, task.recipe, self._preparations)
            return Done(task, report.row if report.has_ended else None, None), worker
        return Done(task, None, RunError(f"its worker process ended twice{how}")), None

    def _is_stopped(self) -> bool:
        return bool(self._stop) or self._closed


class _Worker:
    """A process that trains runs."""

    def __init__(self, rows: "_MappedFile", is_stopped: Callable[[], bool]) -> None:
        self._is_stopped = is_stopped
        self._connection, theirs = Pipe()
        fds = (theirs.fileno(), rows.fileno())
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *map(str, fds), str(torch.get_num_threads())],
            pass_fds=fds,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the sweep
        )
        theirs.close()

    def carry_out(self, order: Order) -> Report:
        """Train a run. Raises EOFError or OSError if the process ends."""
        self._connection.send(order)
        while not self._connection.poll(_SECONDS_BETWEEN_LOOKS):
            if self._is_stopped():
                raise _Stopped
        report: Report = self._connection.recv()
        return report

    def end(self) -> str:
        """End the process at once; how it had ended, if it had."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):  # it may be about to be gone
            self._process.wait(0.2)
        code = self._process.poll()
        self._process.kill()
        self._process.wait()
        return "" if code is None else f" with code {code}" if code >= 0 else f" by signal {-code}"


class _MappedFile:
    """What runs share, in a file without a name: arrays lie in it as they do in memory."""

    def __init__(self, shared: Shared) -> None:
        arrays: list[pickle.PickleBuffer] = []
        head = pickle.dumps(shared, protocol=5, buffer_callback=arrays.append)
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        parts = [memoryview(head), *(array.raw() for array in arrays)]
        sizes = np.array([len(parts), *(part.nbytes for part in parts)], np.int64)
        self._file.write(sizes.tobytes())
        for part in parts:
            self._file.seek(-(-self._file.tell() // _ALIGNED) * _ALIGNED)
            self._file.write(part)
        self._file.flush()

    def fileno(self) -> int:
        """Its descriptor, which a worker is given."""
        return self._file.fileno()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def _mapped(descriptor: int) -> Shared:
    """What `_MappedFile` has written, its arrays in the memory that all processes share."""
    # Writable, for torch asks for that; what anybody wrote would be a copy of his own.
    memory = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY))
    count = int(np.frombuffer(memory[:8], np.int64)[0])
    sizes = np.frombuffer(memory[8 : 8 * (1 + count)], np.int64).tolist()
    place, parts = 8 * (1 + count), []
    for size in sizes:
        place = -(-place // _ALIGNED) * _ALIGNED
        parts.append(memory[place : place + size])
        place += size
    shared: Shared = pickle.loads(parts[0], buffers=parts[1:])
    return shared


def work(connection: int, rows: int, threads: int) -> None:
    """What a worker process does: train what it is sent, until nobody is there any more.

    Args:
        connection: The descriptor of a connection to the sweep.
        rows: That of the file with what all runs share.
        threads: How many torch has where the sweep is, as its sums depend on that.
    """
    torch.set_num_threads(threads)
    sweep = Connection(connection)
    worker = RemoteWorker(_mapped(rows))
    with suppress(EOFError, OSError):
        while True:
            order: Order = sweep.recv()
            (report,) = worker.carry_out([order])
            sweep.send(report)


def _is_elsewhere(model: Any) -> bool:
    """Whether a model, or what makes it, is of a module that a worker can import."""
    if model is None:
        return True
    parts = model.modules() if isinstance(model, nn.Module) else (model,)
    named: list[Any] = [part if isinstance(part, FunctionType) else type(part) for part in parts]
    return all(one.__module__ != "__main__" and "<" not in one.__qualname__ for one in named)
