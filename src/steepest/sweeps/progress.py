"""How a sweep shows itself while it goes on: a table on a terminal or in a notebook, else lines.

Both go to standard error, as a training's bar and lines do, but for a notebook's. On a terminal the
table is drawn by a thread a few times a second, from what the tally has; a run that ends waits for
neither.
"""

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from steepest.errors import RecipeError
from steepest.sweeps.space import shown, value_text
from steepest.sweeps.tally import Standings, Tally
from steepest.training.interrupt import StopRequest
from steepest.training.notebook import HtmlDisplay, in_notebook

PROGRESS = ("auto", "table", "lines", "none")
_DRAWN_A_SECOND = 2
_ROWS, _CAUSES = 5, 3
_LARGE = 1e4
# Lines come every so many seconds, and the longer a sweep takes the more rarely.
_SECONDS_BETWEEN_LINES, _SHARE_BETWEEN_LINES = 10.0, 0.05


def check_sweep_progress(kind: str) -> None:
    """Raise RecipeError if there is no display of this kind."""
    if kind not in PROGRESS:
        raise RecipeError(f"progress must be one of {', '.join(PROGRESS)}, but is {kind!r:.40}")


@contextmanager
def shown_sweep(kind: str, tally: Tally, stop: StopRequest, resumable: bool) -> Iterator[None]:
    """Show a sweep within the block, and how it ended after it.

    Args:
        kind: table, lines, none, or auto: a table on a terminal and in a notebook, lines elsewhere.
        tally: What has come of it.
        stop: True once somebody has asked to stop.
        resumable: Whether it can be gone on with.
    """
    if kind == "none":
        yield
        return
    tally.judges = True
    try:
        if kind == "auto" and in_notebook():
            tally.on_run = cell = _Cell(tally, stop)
            try:
                yield
            finally:
                cell.draw()
        elif kind == "table" or (kind == "auto" and sys.stderr.isatty()):
            with _live(tally, stop):
                yield
        else:
            tally.on_run = _Lines(tally)
            yield
    except BaseException as error:
        stopped = stop or isinstance(error, KeyboardInterrupt)
        _say(last_line(tally, "interrupted" if stopped else "broken off", resumable))
        raise
    now = tally.standings()
    ended = now.done >= now.total and not stop
    _say(last_line(tally, "finished" if ended else "interrupted", resumable))


def _say(line: str) -> None:
    with suppress(OSError, ValueError):  # whoever read it is gone: the sweep goes on
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _live(tally: Tally, stop: StopRequest) -> Iterator[None]:
    """A table that is drawn anew on the terminal, and taken away in the end."""
    console = Console(stderr=True)
    with Live(
        get_renderable=lambda: table_of(_judged(tally), tally.metric.name, bool(stop)),
        console=console,
        refresh_per_second=_DRAWN_A_SECOND,
        transient=True,
    ):
        yield


class _Cell:
    """The same table in the output of a notebook's cell, where it stays; drawn as runs end."""

    def __init__(self, tally: Tally, stop: StopRequest) -> None:
        self._tally, self._stop = tally, stop
        self._display = HtmlDisplay()
        self._due = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + 1 / _DRAWN_A_SECOND
            self.draw()

    def draw(self) -> None:
        """Show how the sweep stands."""
        # Not in Jupyter's way, in which rich would display it itself.
        console = Console(record=True, file=io.StringIO(), width=100, force_jupyter=False)
        table = table_of(_judged(self._tally), self._tally.metric.name, bool(self._stop))
        console.print(table)
        form = '<pre style="font:13px monospace;line-height:1.3">{code}</pre>'
        self._display.show(console.export_html(inline_styles=True, code_format=form))


def _judged(tally: Tally) -> Standings:
    tally.judge()
    return tally.standings()


class _Lines:
    """A line now and then."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._begun = time.monotonic()
        self._due = self._begun + _SECONDS_BETWEEN_LINES

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._due:
            share = _SHARE_BETWEEN_LINES * (now - self._begun)
            self._due = now + max(_SECONDS_BETWEEN_LINES, share)
            _say(line_of(_judged(self._tally), self._tally.metric.name))


def line_of(now: Standings, metric: str) -> str:
    """`sweep: 43 of 96 runs, 12.3 runs/s, 4 s left, 2 failed, best lr=0.1: val_loss=0.0712`."""
    parts = [f"{now.done} of {now.total} runs", f"{_rate(now)} runs/s"]
    if now.rate == now.rate:
        parts.append(f"{duration(now.seconds_left)} left")
    failed = sum(failure.runs for failure in now.failures)
    if failed:
        parts.append(f"{failed} failed")
    if now.findings:
        parts.append(_findings_of(now))
    return f"sweep: {', '.join(parts)}{_best_of(now, metric)}"


def last_line(tally: Tally, how: str, resumable: bool) -> str:
    """How the sweep ended."""
    now = tally.standings()
    counts = ", ".join(f"{count} {status}" for status, count in now.by_status.items())
    line = f"{how}: {now.done} of {now.total} runs in {duration(now.seconds)}"
    line += f" ({_rate(now)} runs/s)" if now.rate == now.rate else ""
    line += (f": {counts}" if counts else "") + _best_of(now, tally.metric.name)
    if how != "finished" and resumable:
        line += "; go on with --resume, resume=True"
    return line


def _findings_of(now: Standings) -> str:
    """OVERFIT in 12, STOPPED_TOO_EARLY in 3 of 40 runs."""
    told = ", ".join(f"{code} in {count}" for code, count in now.findings.items())
    return f"{told} of {now.judged} runs"


def _best_of(now: Standings, metric: str) -> str:
    if not now.best:
        return ""
    best = now.best[0]
    seeds = f"mean of {best.runs} seeds" if best.runs > 1 else "1 seed"
    point = shown(best.settings)
    return f"; best {f'{point}: ' if point else ''}{metric}={number(best.mean)} ({seeds})"


def table_of(now: Standings, metric: str, stopping: bool = False) -> RenderableType:
    """What a terminal shows: how far it is, the best trials, what failed and why."""
    head = Table.grid(padding=(0, 1))
    left = "" if now.rate != now.rate else f"{duration(now.seconds_left)} left"
    head.add_row(
        f"{now.done} of {now.total} runs",
        ProgressBar(total=max(now.total, 1), completed=now.done, width=30),
        f"{100 * now.done // max(now.total, 1)} %",
        f"{_rate(now)} runs/s",
        "stopping: the steps that are being taken are finished" if stopping else left,
    )
    parts: list[RenderableType] = [head]
    if now.best:
        parts.append(_ranking(now, metric))
    # Text, not markup: a cause may hold [brackets].
    for failure in now.failures[:_CAUSES]:
        where = f" ({point})" if (point := shown(failure.settings)) else ""
        parts.append(_one_line(f"{failure.runs} {failure.status}: {failure.cause}{where}", "red"))
    if len(now.failures) > _CAUSES:
        others = sum(failure.runs for failure in now.failures[_CAUSES:])
        parts.append(Text(f"{others} more for {len(now.failures) - _CAUSES} other causes"))
    if now.findings:
        parts.append(Text(_findings_of(now)))
    if pruned := now.by_status.get("pruned"):
        parts.append(Text(f"{pruned} pruned"))
    return Group(*parts)


def _ranking(now: Standings, metric: str) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for name in ("trial", *now.best[0].settings):
        table.add_column(name, no_wrap=True)
    table.add_column(f"mean {metric}", justify="right", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    for place, one in enumerate(now.best[:_ROWS]):
        settings = map(value_text, one.settings.values())
        seeds = f"{one.runs}" if one.runs == one.seeds else f"{one.runs} of {one.seeds}"
        cells: list[Any] = [str(one.trial), *settings, number(one.mean), seeds]
        table.add_row(*map(Text, cells), style="" if place else "bold")
    return table


def _one_line(words: str, style: str) -> Text:
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")


def _rate(now: Standings) -> str:
    return (
        "-" if now.rate != now.rate else f"{now.rate:.3g}" if now.rate < 100 else f"{now.rate:,.0f}"
    )


def number(value: float) -> str:
    """Four decimals; of a loss that has left every scale three digits."""
    return f"{value:.4f}" if abs(value) < _LARGE else f"{value:.3g}"


def duration(seconds: float) -> str:
    """4 s, 3 min 20 s, 2 h 5 min."""
    if seconds != seconds:
        return "?"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, hours = whole // 60, whole // 3600
    if not minutes:
        return f"{whole} s"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {whole % 60} s"
