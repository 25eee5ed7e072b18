"""How many steps to take at once: about 50 ms, so that Ctrl-C stays quick, or up to a mark."""

import time

_SECONDS_BETWEEN_LOOKS = 0.05


class StepBudget:
    """Measures steps and proposes how many more take about 50 ms. Never changes a number."""

    def __init__(self) -> None:
        self._steps = 1
        self._since = 0.0

    def steps(self, most: int) -> int:
        """How many steps to take now, at most this many; starts the clock."""
        self._since = time.perf_counter()
        return max(1, min(self._steps, most))

    def took(self, steps: int) -> None:
        """Those steps are done: the next proposal follows their speed, growing at most tenfold."""
        seconds = max(time.perf_counter() - self._since, 1e-9)
        self._steps = max(1, min(10 * steps, int(steps * _SECONDS_BETWEEN_LOOKS / seconds)))


class WholeIntervals:
    """All steps up to the next mark, however long they take."""

    def steps(self, most: int) -> int:
        """All of them."""
        return most

    def took(self, steps: int) -> None:
        """Nothing is measured."""
