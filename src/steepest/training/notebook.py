"""How a run shows itself in a notebook: one picture that is drawn anew, by a display handle alone.

No widget is needed: what is shown is HTML with an SVG in it, so that a saved notebook keeps it.
"""

import sys
import time
from collections.abc import Sequence
from html import escape
from typing import Any

from steepest.run import EpochFinished, Event, FindingMade, IntervalFinished, RunStarted, RunStopped

_SECONDS_BETWEEN = 0.25
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 460, 150, 44, 20
# Of more epochs than this, evenly chosen ones are drawn.
_MOST_POINTS = 300
_TRAIN, _VALIDATION = "#1f6fb4", "#c2540a"


def in_notebook() -> bool:
    """Whether a kernel shows what is displayed: Jupyter, or what speaks its protocol."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class HtmlDisplay:
    """A place in a cell's output that is written anew."""

    def __init__(self) -> None:
        from IPython import display

        kernel: Any = display
        self._html = kernel.HTML
        self._handle = kernel.display(self._html(""), display_id=True)

    def show(self, html: str) -> None:
        """Show this instead of what is shown."""
        self._handle.update(self._html(html))


class NotebookView:
    """An observer that draws losses, scores, progress and findings in the cell's output."""

    def __init__(self) -> None:
        self._display = HtmlDisplay()
        self._started: RunStarted | None = None
        self._epochs: list[EpochFinished] = []
        self._findings: list[FindingMade] = []
        self._step, self._rate = 0, ""
        self._rows, self._since = 0, time.perf_counter()
        self._drawn = 0.0

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._started, self._step = event, event.step
            case IntervalFinished(stats=stats):
                self._step = event.step
                self._rows += stats.rows
                self._rate = f"{self._rows / (time.perf_counter() - self._since):,.0f} rows/s"
            case EpochFinished():
                self._epochs.append(event)
                self._step = event.step
            case FindingMade() if event.severity != "info":
                self._findings.append(event)
            case RunStopped():
                self._draw(f"{event.status}: {event.reason} ({event.seconds:.1f} s)")
                return
        now = time.perf_counter()
        if now - self._drawn > _SECONDS_BETWEEN:
            self._drawn = now
            self._draw(self._rate)

    def _draw(self, said: str) -> None:
        self._display.show(self.html(said))

    def html(self, said: str = "") -> str:
        """What is shown now.

        Args:
            said: The line beside the progress.
        """
        total = self._started.total_steps if self._started else 0
        share = self._step / total if total else 0.0
        findings = "".join(
            f'<div style="border-left:3px solid #b3261e;padding-left:8px;margin-top:6px">'
            f"<b>{escape(one.code)}</b> {escape(str(one.details['message']))}<br>"
            f"<code>{escape(str(one.details['fix']))}</code></div>"
            for one in self._findings
        )
        return (
            '<div style="font:13px system-ui,sans-serif;max-width:480px">'
            f'<progress value="{share:.4f}" max="1" aria-label="steps" style="width:100%">'
            f"</progress><div>{self._scores()}{escape(said)}</div>"
            f"{curves(self._epochs)}{findings}</div>"
        )

    def _scores(self) -> str:
        if not self._epochs:
            return ""
        last = self._epochs[-1]
        words = f"epoch {last.epoch}: loss {last.train_loss:.3f}, accuracy {last.train_acc:.3f}"
        if last.val_loss is not None:
            words += f"; validation {last.val_loss:.3f}, {last.val_acc:.3f}"
        return f"<b>{words}</b> · "


def curves(epochs: Sequence[EpochFinished]) -> str:
    """Training and validation loss by epoch as an SVG; nothing before there are two epochs.

    Args:
        epochs: In their order.
    """
    if len(epochs) < 2:
        return ""
    step = -(-len(epochs) // _MOST_POINTS)
    some = [*epochs[::step], *([epochs[-1]] if (len(epochs) - 1) % step else [])]
    lines = [
        ("training", _TRAIN, "none", [(e.epoch, e.train_loss) for e in some]),
        (
            *("validation", _VALIDATION, "6 3"),
            [(e.epoch, e.val_loss) for e in some if e.val_loss is not None],
        ),
    ]
    high = max((y for *_, places in lines for _, y in places if y < float("inf")), default=1.0)
    first, last = some[0].epoch, some[-1].epoch

    def place(epoch: int, loss: float) -> str:
        x = _LEFT + (epoch - first) / (last - first) * (_WIDTH - _LEFT - 6)
        y = 6 + (1 - min(loss, high) / (high or 1.0)) * (_HEIGHT - _BOTTOM - 6)
        return f"{x:.1f},{y:.1f}"

    drawn = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" '
        f'points="{" ".join(place(*one) for one in places if one[1] == one[1])}"/>'
        f'<text x="{_WIDTH - 6}" y="{18 + 16 * i}" text-anchor="end" fill="{colour}">{name}</text>'
        for i, (name, colour, dash, places) in enumerate(lines)
        if places
    )
    base = _HEIGHT - _BOTTOM
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" font-size="11" '
        f'fill="currentColor" aria-label="loss by epoch, now {some[-1].train_loss:.3f}">'
        f'<path d="M{_LEFT} 6V{base}H{_WIDTH - 6}" fill="none" stroke="currentColor" opacity=".4"/>'
        f'<text x="{_LEFT - 6}" y="12" text-anchor="end">{high:.3g}</text>'
        f'<text x="{_LEFT - 6}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 5}">epoch {first}</text>'
        f'<text x="{_WIDTH - 6}" y="{_HEIGHT - 5}" text-anchor="end">{last}</text>{drawn}</svg>'
    )
