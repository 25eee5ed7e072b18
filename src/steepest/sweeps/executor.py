"""Executors: they train runs, each as far as it is asked, and give back what came of them."""

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

from steepest.recipe import Recipe
from steepest.sweeps.paused import MOST_BYTES
from steepest.sweeps.record import RunRow
from steepest.sweeps.stacks import StackedRun, Stacks
from steepest.sweeps.training import ForgottenTraining, RunTraining, Training

# Tasks that wait for a thread: enough that each finds others of its kind, to be trained together.
_AHEAD = 64


@dataclass(eq=False)
class Task:
    """A run that is to be trained.

    Attributes:
        label: Of who submits it.
        name: Of the run.
        recipe: Of the run, with its seed.
        epochs: Until so many are done; None to its end.
        training: The run on its way; None before its first step.
    """

    label: Any
    name: str
    recipe: Recipe
    epochs: int | None
    training: Training | None = None


class Done(NamedTuple):
    """A task that was carried out.

    row: what came of the run; None if it pauses. error: what the training raised.
    """

    task: Task
    row: RunRow | None
    error: BaseException | None


class Executor(Protocol):
    """Carries out tasks, several at once."""

    @property
    def capacity(self) -> int:
        """So many tasks it takes before it gives one back, so that none of its workers idles."""
        ...

    def submit(self, task: Task) -> None:
        """Have a task carried out."""
        ...

    def get(self, timeout: float | None = None) -> Done | None:
        """The next task that is done; None if there is none in this time."""
        ...

    def close(self) -> None:
        """Let go of the workers, after what they are doing and what waits for them."""
        ...


class Apart(Protocol):
    """Carries out tasks elsewhere, or when it is asked to."""

    def submit(self, task: Task) -> None:
        """Have a task carried out."""
        ...

    def step(self) -> bool:
        """Do some of what waits, here and now; whether there was anything."""
        ...

    def close(self) -> None:
        """Let go of what is under way."""
        ...


class ThreadExecutor:
    """So many threads; the native engine lets go of the interpreter while it works.

    Args:
        threads: How many.
        stacks: Train runs of one kind together.
        begin: Makes the training of a run that is trained by itself.
        in_turn: Whether runs of a recipe are trained by who asks for them, one after the other:
            torch has its generators and threads once for the process.

    Attributes:
        apart: Has such runs trained elsewhere, if it is given.
    """

    def __init__(
        self,
        threads: int,
        stacks: Stacks,
        begin: Callable[[str, Recipe], Training],
        in_turn: Callable[[Recipe], bool],
    ) -> None:
        self._stacks, self._begin, self._in_turn = stacks, begin, in_turn
        self.capacity = _AHEAD * threads
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Hashable, Task]] = deque()
        self.apart: Apart | None = None
        self._on_their_way = weakref.WeakSet[RunTraining]()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(threads, initializer=_take_over_threads)

    def submit(self, task: Task) -> None:
        """Have a task carried out."""
        key = self._key(task)
        if key is None and self._in_turn(task.recipe):
            if self.apart is None:
                self._done.put(self.carry_out(task))
            else:
                self.apart.submit(task)
            return
        with self._lock:
            self._waiting.append((key, task))
        self._threads.submit(self._work)

    def get(self, timeout: float | None = None) -> Done | None:
        """The next task that is done; None if there is none in this time."""
        try:
            return self._done.get_nowait()
        except queue.Empty:
            pass
        if timeout and self.apart is not None and self.apart.step():
            timeout = 0
        try:
            return self._done.get(timeout=timeout)
        except queue.Empty:
            return None

    def deliver(self, done: Done) -> None:
        """Take what was carried out elsewhere, from any thread."""
        self._done.put(done)

    def close(self) -> None:
        """Let the threads end after what they are doing and what waits for them."""
        if self.apart is not None:
            self.apart.close()
        self._threads.shutdown()

    def _key(self, task: Task) -> Hashable:
        """Equal of tasks that are carried out together; None of one by itself."""
        if task.training is not None and not isinstance(task.training, StackedRun):
            return None
        key = self._stacks.key(task.recipe)
        if key is None:
            return None
        if task.training is None:
            task.training = StackedRun(task.name, task.recipe, self._stacks)
        return key, task.epochs, task.training.position

    def _work(self) -> None:
        """Carry out the task that waits longest, with others of its kind."""
        tasks = self._next()
        if len(tasks) == 1:
            self._done.put(self.carry_out(tasks[0]))
        elif tasks:
            for done in self._together(tasks):
                self._done.put(done)

    def _next(self) -> list[Task]:
        with self._lock:
            if not self._waiting:  # others have taken them along
                return []
            key, first = self._waiting.popleft()
            if key is None:
                return [first]
            most = self._stacks.most(first.recipe)
            chosen, left = [first], deque[tuple[Hashable, Task]]()
            for its, task in self._waiting:
                if its == key and len(chosen) < most:
                    chosen.append(task)
                else:
                    left.append((its, task))
            self._waiting = left
            return chosen

    def _together(self, tasks: Sequence[Task]) -> list[Done]:
        runs = [task.training for task in tasks]
        try:
            rows = self._stacks.advance(runs, tasks[0].epochs)  # type: ignore[arg-type]
        except Exception:  # whose was it?
            return [self.carry_out(task) for task in tasks]
        except BaseException as error:  # told to who waits, in another thread
            return [Done(task, None, error) for task in tasks]
        return [Done(task, row, None) for task, row in zip(tasks, rows, strict=True)]

    def carry_out(self, task: Task) -> Done:
        """A task, done here and now."""
        try:
            if task.training is None:
                task.training = self._begin(task.name, task.recipe)
            row = task.training.advance(task.epochs)
            if row is None and isinstance(task.training, RunTraining):
                task.training = self._paused(task, task.training)
            return Done(task, row, None)
        except BaseException as error:  # told to who waits, perhaps in another thread
            return Done(task, None, error)

    def _paused(self, task: Task, training: RunTraining) -> Training:
        """It, or what begins it anew where those that are paused already fill the memory."""
        with self._lock:
            self._on_their_way.add(training)
            if sum(one.nbytes for one in self._on_their_way) <= MOST_BYTES:
                return training
            self._on_their_way.discard(training)
        begin, name, recipe = self._begin, task.name, task.recipe
        return ForgottenTraining(training.history, lambda: begin(name, recipe))


def _take_over_threads() -> None:
    torch.set_num_threads(torch.get_num_threads())  # a thread has the process's from then on
