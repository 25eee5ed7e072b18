"""Columns at once: numpy lets go of the interpreter while it works on one."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from steepest.processors import usable_threads

# Below so many numbers in all, threads take longer to begin than they save.
_WORTH_SHARING = 400_000


def for_each(work: Callable[[int], None], items: Iterable[int], numbers: int) -> None:
    """Call `work` with each item, in several threads where that is worth it.

    As many as the processors of this process, or as OMP_NUM_THREADS says: who runs several
    processes side by side sets it.

    Args:
        work: Writes to memory that no other item's call touches.
        items: What it is called with.
        numbers: How many numbers are worked on in all.
    """
    threads = _threads() if numbers >= _WORTH_SHARING else 1
    if threads == 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, items))


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return usable_threads()
