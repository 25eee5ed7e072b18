"""Keeper: of the runs of a sweep the best few keep their weights, as run folders.

A folder costs several writes to the disk, and early in a sweep each run may be the best so far: so
the best are held in memory, and written every few seconds. What a kill takes away is trained again.
"""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from steepest.errors import RunError
from steepest.files import is_full, make_folder, write_errors
from steepest.records.layout import BEST_RUNS
from steepest.run import Run
from steepest.sweeps.metrics import Metric
from steepest.sweeps.record import IF_FULL

_SECONDS_BETWEEN_WRITES = 3.0


class Keeper:
    """Saves a run when it is among the best so far, and removes the one that it replaces.

    Args:
        folder: Of the sweep; None keeps the runs in memory.
        metric: What decides; of equal runs the earlier one.
        most: How many are kept.
    """

    def __init__(self, folder: Path | None, metric: Metric, most: int) -> None:
        self._folder, self._metric, self._most = folder, metric, most
        self._kept: dict[str, tuple[float, int]] = {}
        self._runs: dict[str, Run] = {}
        self._waiting: dict[str, Callable[[], Run]] = {}
        self._written = time.monotonic()

    def known(self, name: str, cost: float, place: int) -> None:
        """Take in a run that ended before this process began."""
        if self._wants(cost, place):
            self._take(name, cost, place)

    def offer(self, name: str, cost: float, place: int, make: Callable[[], Run]) -> None:
        """Keep a run if it is one of the best. place: its place among all runs."""
        if self._wants(cost, place):
            self._waiting[name] = make
            self._take(name, cost, place)
        if time.monotonic() > self._written + _SECONDS_BETWEEN_WRITES:
            self.write()

    @property
    def limit(self) -> float:
        """What a run may cost at most to be kept."""
        if len(self._kept) < self._most:
            return math.inf
        return max((cost for cost, _ in self._kept.values()), default=-math.inf)

    def write(self) -> None:
        """Save the runs that are held."""
        while self._waiting:
            name, make = self._waiting.popitem()
            self.put(name, make())
        self._written = time.monotonic()

    def put(self, name: str, run: Run) -> None:
        """Save a run that is to be kept."""
        if self._folder is None:
            self._runs[name] = run
            return
        target = self._folder / BEST_RUNS / name
        try:
            make_folder(self._folder / BEST_RUNS)
            if not target.exists():
                run.save(target)
        except RunError as error:
            if not is_full(error):
                raise
            raise RunError(f"cannot write {target}: the disk is full; {IF_FULL}") from error

    def missing(self) -> list[str]:
        """Runs that should be kept and are not there: a process was killed before they were."""
        return [name for name in self._kept if not self._is_there(name)]

    @property
    def names(self) -> list[str]:
        """Of the runs that are kept."""
        return list(self._kept)

    def run(self, name: str) -> Run | None:
        """A run that is kept in memory."""
        return self._runs.get(name)

    def sweep_out(self) -> None:
        """Remove what is no longer among the best."""
        if self._folder is None or not (self._folder / BEST_RUNS).is_dir():
            return
        for path in (self._folder / BEST_RUNS).iterdir():
            if path.name not in self._kept and not path.is_symlink():
                with write_errors(path):
                    shutil.rmtree(path)

    def _is_there(self, name: str) -> bool:
        if self._folder is None:
            return name in self._runs
        return (self._folder / BEST_RUNS / name / "classifier.json").exists()

    def _wants(self, cost: float, place: int) -> bool:
        if not self._most or cost == float("inf"):
            return False
        if cost == math.inf:  # it did not reach its end
            return False
        full = len(self._kept) >= self._most
        return not full or (cost, place) < max(self._kept.values())

    def _take(self, name: str, cost: float, place: int) -> None:
        self._kept[name] = (cost, place)
        if len(self._kept) > self._most:
            worst = max(self._kept, key=lambda one: self._kept[one])
            del self._kept[worst]
            self._runs.pop(worst, None)
            if self._waiting.pop(worst, None):
                return  # it was never written
            if self._folder is not None:
                shutil.rmtree(self._folder / BEST_RUNS / worst, ignore_errors=True)
