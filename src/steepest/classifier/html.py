"""Tables of HTML for notebooks. They have no colours of their own, so that dark pages stay dark."""

from collections.abc import Iterable, Sequence
from html import escape


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table: the first column is text, the others are numbers. Everything is escaped."""
    above = "".join(f"<th style='text-align:right'>{escape(cell)}</th>" for cell in head[1:])
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(first)}</th>"
        + "".join(f"<td style='text-align:right'>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    first = f"<th style='text-align:left'>{escape(head[0])}</th>"
    return f"<div style='overflow-x:auto'><table>{title}<tr>{first}{above}</tr>{body}</table></div>"
