"""A ledger as text for a terminal."""

from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from steepest.explain.book import Entry, Phase
from steepest.explain.numbers import lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steepest.explain.lecture import Check
    from steepest.explain.ledger import Ledger

HEADINGS: dict[Phase, str] = {"forward": "Forward", "loss": "Loss", "backward": "Backward"}
_WIDTH = 100


def ledger_text(ledger: "Ledger") -> Group:
    """What rich prints: each quantity with its shape, formula, difference to autograd, numbers."""
    parts: list[Any] = [Text(ledger.title, style="bold"), *map(Text, ledger.notes)]
    for phase, heading in HEADINGS.items():
        parts.append(Rule(heading, style="dim"))
        parts += [part for entry in ledger if entry.phase == phase for part in _entry(entry)]
    parts += [Rule(style="dim"), Text(verdict(ledger))]
    return Group(*parts)


def as_text(renderable: Any) -> str:
    """What rich would print, without colours, at a width of 100 characters."""
    console = Console(width=_WIDTH, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def verdict(ledger: "Ledger") -> str:
    """In one sentence, whether our numbers are autograd's."""
    checked = sum(entry.difference is not None for entry in ledger)
    apart = f"largest difference {ledger.greatest_difference:.1e}"
    if ledger.agrees:
        return f"{checked} quantities worked out by hand agree with autograd ({apart})"
    wrong = ", ".join(entry.name for entry in ledger if not entry.agrees)
    return f"these differ from autograd: {wrong} ({apart})"


def difference_text(entry: Entry) -> str:
    if entry.difference is None:
        return "" if entry.by_hand or entry.autograd is None else "autograd's"
    return f"|ours - autograd| <= {entry.difference:.1e}" if entry.difference else "= autograd"


def _entry(entry: Entry) -> list[Any]:
    head = Text()
    head.append(entry.plain or entry.name, style="bold cyan")
    head.append(f"   {entry.dimensions}")
    said = difference_text(entry)
    if said:
        head.append(f"   {said}", style="dim" if entry.agrees else "bold red")
    parts: list[Any] = [head]
    below = "; ".join(part for part in (entry.module, entry.note) if part)
    if below:
        parts.append(Padding(Text(below, style="dim"), (0, 0, 0, 2)))
    numbers = Text("\n".join(lines(entry.value)), no_wrap=True, overflow="crop")
    return [*parts, Padding(numbers, (0, 0, 1, 4))]


def print_lecture(ledger: "Ledger", checks: "Sequence[Check]", slips: "Sequence[str]") -> None:
    """The worked example, and the slides' numbers in tables, topic by topic."""
    console = Console(highlight=False)
    console.print(ledger)
    table = Table("the slides' numbers", "slides", "ours", "", title_justify="left", expand=False)
    for topic, group in groupby(checks, key=lambda check: check.topic):
        table.add_section()
        table.add_row(Text(topic, style="bold"))
        for check in group:
            mark = (
                Text("equal", style="green") if check.equal else Text("DIFFERS", style="bold red")
            )
            table.add_row(Text(f"  {check.quantity}"), check.printed, check.rounded, mark)
    console.print(table)
    for slip in slips:
        console.print(Text(f"A slip of the slides: {slip}"))
    different = sum(not check.equal for check in checks)
    said = f"{different} of them differ" if different else "all equal at the printed precision"
    console.print(Text(f"{len(checks)} numbers of the slides: {said}"))
