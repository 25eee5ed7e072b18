"""Executors: they train runs, each as far as it is asked, and give back what came of them."""

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

from steepest.recipe import Recipe
from steepest.sweeps.record import RunRow
from steepest.sweeps.training import Training

# Tasks that wait for a thread: enough that none waits for this one, few enough to fit into memory.
_AHEAD = 2


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


class ThreadExecutor:
    """So many threads; the native engine lets go of the interpreter while it works.

    Args:
        threads: How many.
        begin: Makes the training of a run.
        in_turn: Whether runs of a recipe are trained by who submits them, one after the other:
            torch has its generators and threads once for the process.
    """

    def __init__(
        self,
        threads: int,
        begin: Callable[[str, Recipe], Training],
        in_turn: Callable[[Recipe], bool],
    ) -> None:
        self._begin, self._in_turn = begin, in_turn
        self.capacity = _AHEAD * threads
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(threads, initializer=_take_over_threads)

    def submit(self, task: Task) -> None:
        """Have a task carried out."""
        if self._in_turn(task.recipe):
            self._done.put(self._carried_out(task))
        else:
            self._threads.submit(lambda: self._done.put(self._carried_out(task)))

    def get(self, timeout: float | None = None) -> Done | None:
        """The next task that is done; None if there is none in this time."""
        try:
            return self._done.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Let the threads end after what they are doing and what waits for them."""
        self._threads.shutdown()

    def _carried_out(self, task: Task) -> Done:
        try:
            if task.training is None:
                task.training = self._begin(task.name, task.recipe)
            return Done(task, task.training.advance(task.epochs), None)
        except BaseException as error:  # told to who waits, perhaps in another thread
            return Done(task, None, error)


def _take_over_threads() -> None:
    torch.set_num_threads(torch.get_num_threads())  # a thread has the process's from then on
