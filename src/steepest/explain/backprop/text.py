"""A ledger as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from steepest.explain.backprop.entry import LedgerEntry, Phase, greatest_difference
from steepest.explain.numbers import lines

HEADINGS: dict[Phase, str] = {"forward": "Forward", "loss": "Loss", "backward": "Backward"}
_WIDTH = 100


def ledger_text(title: str, notes: Sequence[str], entries: Sequence[LedgerEntry]) -> Group:
    """What rich prints: each quantity with its shape, formula, difference to autograd, numbers."""
    parts: list[Any] = [Text(title, style="bold"), *map(Text, notes)]
    for phase, heading in HEADINGS.items():
        parts.append(Rule(heading, style="dim"))
        parts += [part for entry in entries if entry.phase == phase for part in _entry(entry)]
    parts += [Rule(style="dim"), Text(verdict(entries))]
    return Group(*parts)


def as_text(renderable: Any) -> str:
    """What rich would print, without colours, at a width of 100 characters."""
    console = Console(width=_WIDTH, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def verdict(entries: Sequence[LedgerEntry]) -> str:
    """In one sentence, whether our numbers are autograd's."""
    checked = sum(entry.difference is not None for entry in entries)
    apart = f"largest difference {greatest_difference(entries):.1e}"
    wrong = ", ".join(entry.name for entry in entries if not entry.agrees)
    if wrong:
        return f"these differ from autograd: {wrong} ({apart})"
    return f"{checked} quantities worked out by hand agree with autograd ({apart})"


def difference_text(entry: LedgerEntry) -> str:
    if entry.difference is None:
        return "" if entry.by_hand or entry.autograd is None else "autograd's"
    return f"|ours - autograd| <= {entry.difference:.1e}" if entry.difference else "= autograd"


def _entry(entry: LedgerEntry) -> list[Any]:
    head = Text()
    head.append(entry.plain or entry.name, style="bold cyan")
    head.append(f"   {entry.dimensions}")
    difference = difference_text(entry)
    if difference:
        head.append(f"   {difference}", style="dim" if entry.agrees else "bold red")
    parts: list[Any] = [head]
    below = "; ".join(part for part in (entry.module, entry.note) if part)
    if below:
        parts.append(Padding(Text(below, style="dim"), (0, 0, 0, 2)))
    numbers = Text("\n".join(lines(entry.value)), no_wrap=True, overflow="crop")
    return [*parts, Padding(numbers, (0, 0, 1, 4))]
