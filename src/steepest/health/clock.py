"""How long a check may take, so that what else the machine does changes no verdict."""

import math
import time
from collections.abc import Callable


class Clock:
    """A box of so many seconds that are spent, by default, on the processor by this thread.

    Time in which other processes have the processor does not count. waiting: after so many seconds
    by the wall it is over all the same, for what waits (a disk, a network) and takes no processor.
    spent: another measure of time, as the wall's where a graphics card does the work.
    """

    def __init__(
        self,
        seconds: float,
        *,
        waiting: float = math.inf,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self.seconds, self.waiting, self.spent = seconds, waiting, spent
        self._end, self._latest = spent() + seconds, time.perf_counter() + waiting
        self._soonest = time.perf_counter() + seconds

    @property
    def left(self) -> float:
        """Seconds that may still be spent."""
        return self._end - self.spent()

    @property
    def waited(self) -> bool:
        """Whether it is over because of waiting."""
        return time.perf_counter() > self._latest

    @property
    def over(self) -> bool:
        # A thread spends at most the time of the wall: the processor's clock, which is dear to read
        # on some machines, is asked only when the seconds can have been spent.
        if time.perf_counter() >= self._soonest:
            left = self.left
            if left <= 0:
                return True
            self._soonest = time.perf_counter() + left
        return self.waited


FOR_EVER = Clock(math.inf)
