"""Pool: threads that carry out tasks, and one queue of what came of them."""

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch


class Done(NamedTuple):
    """A task that was carried out. label: what it was submitted as. error: what it raised."""

    label: Any
    result: Any
    error: BaseException | None


class Pool:
    """So many threads; the native engine lets go of the interpreter while it works.

    Args:
        threads: How many.
    """

    def __init__(self, threads: int) -> None:
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(threads, initializer=_take_over_threads)

    def submit(self, label: Any, task: Callable[[], Any]) -> None:
        """Have a task carried out."""
        self._threads.submit(lambda: self._done.put(carried_out(label, task)))

    def get(self, timeout: float | None = None) -> Done | None:
        """The next task that is done; None if there is none in this time."""
        try:
            return self._done.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Let the threads end after what they are doing and what waits for them."""
        self._threads.shutdown()


def _take_over_threads() -> None:
    torch.set_num_threads(torch.get_num_threads())  # a thread has the process's from then on


def carried_out(label: Any, task: Callable[[], Any]) -> Done:
    """A task, done here and now."""
    try:
        return Done(label, task(), None)
    except BaseException as error:  # told to who waits, perhaps in another thread
        return Done(label, None, error)
