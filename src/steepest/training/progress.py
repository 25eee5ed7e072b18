"""How a run shows itself as it goes on: a bar on a terminal, a picture in a notebook, else lines.

Epochs are counted from 0, as in the record and in all that is said of a run.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from steepest.errors import RecipeError
from steepest.run import (
    EpochFinished,
    Event,
    FindingMade,
    IntervalFinished,
    Observer,
    RunStarted,
    RunStopped,
)
from steepest.training.notebook import NotebookView, in_notebook


class Bar:
    """One line on the terminal: epoch, share done, loss, accuracy, rows a second, time left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("epoch={task.fields[epoch]:3d}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:.0f} %"),
            TextColumn("{task.fields[scores]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            refresh_per_second=10,
        )
        self._task: TaskID | None = None
        self._rows, self._since = 0, time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                print_start(event, self._console)
                self._task = self._progress.add_task(
                    "",
                    total=event.total_steps,
                    completed=event.step,
                    epoch=event.step // event.steps_per_epoch,
                    scores="",
                    rate="",
                )
                self._progress.start()
            case IntervalFinished(stats=stats) if self._task is not None:
                self._rows += stats.rows
                rate = self._rows / (time.perf_counter() - self._since)
                self._progress.update(
                    self._task,
                    completed=event.step,
                    epoch=event.epoch,
                    scores=f"loss={stats.loss:.3f}, accuracy={stats.accuracy:.3f}",
                    rate=f"{rate:,.0f} rows/s",
                )
            case EpochFinished():
                self._console.out(epoch_line(event), highlight=False)
            case FindingMade() if event.severity != "info":
                self._console.out(finding_line(event), highlight=False)
            case RunStopped():
                self._progress.stop()
                self._console.out(stop_line(event), highlight=False)


class Lines:
    """Plain lines on standard error, in the form of the lecture's print."""

    def __init__(self, *, each_interval: bool) -> None:
        self._each_interval = each_interval

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                print_start(event, Console(stderr=True))
            case IntervalFinished() if self._each_interval:
                print(interval_line(event), file=sys.stderr, flush=True)
            case EpochFinished():
                print(epoch_line(event), file=sys.stderr, flush=True)
            case FindingMade() if event.severity != "info":
                print(finding_line(event), file=sys.stderr, flush=True)
            case RunStopped():
                print(stop_line(event), file=sys.stderr, flush=True)


PROGRESS = ("auto", "bar", "epochs", "steps", "none")


def check_progress(kind: str) -> None:
    """Raise RecipeError if there is no display of this kind."""
    if kind not in PROGRESS:
        raise RecipeError(f"progress must be one of {', '.join(PROGRESS)}, but is {kind!r}")


@contextmanager
def shown_progress(kind: str) -> Iterator[Observer]:
    """The observer of this kind; the terminal is as it was afterwards, whatever happens."""
    if kind == "none":
        yield lambda event: None
    elif kind == "auto" and in_notebook():
        yield NotebookView()
    elif kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        with Bar() as bar:
            yield bar
    else:
        yield Lines(each_interval=kind == "steps")


def print_start(event: RunStarted, console: Console) -> None:
    """What was decided, which engine runs and why, and the loss before the first step."""
    for line in event.summary:
        console.out(line, highlight=False)
    console.out(f"engine: {event.engine} ({event.reason})", highlight=False)
    if event.step:
        console.out(f"goes on after step {event.step} of {event.total_steps}", highlight=False)
        return
    console.out(
        f"loss before the first step: {event.initial_loss:.3f} (log C = {event.chance_loss:.3f})",
        highlight=False,
    )


def interval_line(event: IntervalFinished) -> str:
    """The lecture's line: `epoch=  0, i= 100, loss=0.512, accuracy=0.823`."""
    scores = f"loss={event.stats.loss:.3f}, accuracy={event.stats.accuracy:.3f}"
    return f"epoch={event.epoch:3d}, i={event.batch:4d}, {scores}"


def epoch_line(event: EpochFinished) -> str:
    """The same for an epoch, with the validation part."""
    line = f"epoch={event.epoch:3d}, loss={event.train_loss:.3f}, accuracy={event.train_acc:.3f}"
    if event.val_loss is not None:
        line += f", val_loss={event.val_loss:.3f}, val_accuracy={event.val_acc:.3f}"
    line += "".join(f", val_{name}={value:.3f}" for name, value in event.metrics.items())
    return f"{line}, {event.seconds:.1f} s"


def stop_line(event: RunStopped) -> str:
    """How the run ended, why, and after how long."""
    return f"{event.status}: {event.reason} ({event.seconds:.1f} s)"


def finding_line(event: FindingMade) -> str:
    """Cause and fix in a line; the evidence is in `run.findings`."""
    return f"{event.severity} {event.code}: {event.details['message']}; fix: {event.details['fix']}"
