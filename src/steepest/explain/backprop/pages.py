"""A ledger as HTML and as Markdown."""

from collections.abc import Sequence
from functools import cache
from html import escape

from steepest.errors import needs
from steepest.explain.backprop.entry import LedgerEntry
from steepest.explain.backprop.text import HEADINGS, difference_text, verdict
from steepest.explain.numbers import cells, lines

_STYLE = """
.steepest-ledger {
  --ink: #1c2430; --faint: #5c6673; --line: #d8dde4; --zebra: #f5f7fa; --bad: #b3261e;
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; text-align: left;
}
@media (prefers-color-scheme: dark) {
  .steepest-ledger {
    --ink: #e4e8ee; --faint: #9aa5b3; --line: #38414d; --zebra: #1c222b; --bad: #ff8a80;
  }
}
.steepest-ledger h2 { font-size: 1.25em; margin: 0 0 .3em; }
.steepest-ledger h3 {
  font-size: 1.05em; margin: 1.6em 0 .4em; border-bottom: 1px solid var(--line);
}
.steepest-ledger section { padding: .55em .8em; overflow-x: auto; }
.steepest-ledger section:nth-of-type(even) { background: var(--zebra); }
.steepest-ledger .formula { font-size: 1.15em; margin-right: 1.2em; }
.steepest-ledger .shape, .steepest-ledger .said { margin-right: 1.2em; color: var(--faint); }
.steepest-ledger .differs { color: var(--bad); font-weight: bold; }
.steepest-ledger .where { color: var(--faint); font-size: .88em; }
.steepest-ledger table {
  border-collapse: collapse; margin: .35em 0 .2em 1em; background: none;
  border-left: 1.5px solid var(--ink); border-right: 1.5px solid var(--ink);
}
.steepest-ledger td {
  padding: .02em .6em; text-align: right; border: 0; background: none; color: var(--ink);
  font: .88em/1.4 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
.steepest-ledger p { margin: .2em 0; color: var(--faint); }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2em auto; max-width: 62em; padding: 0 1em; background: #fff; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #12161c; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def ledger_page(title: str, notes: Sequence[str], entries: Sequence[LedgerEntry]) -> str:
    """The ledger as a page of its own."""
    return _PAGE.format(title=escape(title), body=ledger_fragment(title, notes, entries))


def ledger_fragment(title: str, notes: Sequence[str], entries: Sequence[LedgerEntry]) -> str:
    """The ledger as a piece of a page, with its own style."""
    parts = [f'<style>{_STYLE}</style>\n<div class="steepest-ledger">']
    parts += [f"<h2>{escape(title)}</h2>", *(f"<p>{escape(n)}</p>" for n in notes)]
    for phase, heading in HEADINGS.items():
        parts.append(f"<h3>{heading}</h3>")
        parts += [_section(entry) for entry in entries if entry.phase == phase]
    parts.append(f"<h3>Checked</h3><p>{escape(verdict(entries))}</p></div>")
    return "\n".join(parts)


def ledger_markdown(title: str, notes: Sequence[str], entries: Sequence[LedgerEntry]) -> str:
    """The ledger as Markdown, its formulas between dollar signs."""
    parts = [f"# {title}", *notes]
    for phase, heading in HEADINGS.items():
        parts.append(f"## {heading}")
        for entry in entries:
            if entry.phase == phase:
                parts += _markdown_entry(entry)
    return "\n\n".join([*parts, verdict(entries)]) + "\n"


def _section(entry: LedgerEntry) -> str:
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in cells(entry.value)
    )
    kind = "said" if entry.agrees else "differs"
    below = "; ".join(part for part in (entry.module, entry.note) if part)
    return (
        f'<section><span class="formula">{mathml(entry.formula or entry.symbol)}</span>'
        f'<span class="shape">{escape(entry.dimensions)}</span>'
        f'<span class="{kind}">{escape(difference_text(entry))}</span>'
        f'<div class="where">{escape(below)}</div><table>{rows}</table></section>'
    )


def _markdown_entry(entry: LedgerEntry) -> list[str]:
    parts = [entry.dimensions, entry.module, entry.note, difference_text(entry)]
    numbers = "\n".join(lines(entry.value))
    return [
        f"$${entry.formula or entry.symbol}$$",
        "; ".join(part for part in parts if part),
        f"```text\n{numbers}\n```",
    ]


@cache
def mathml(latex: str) -> str:
    """A formula as MathML, which browsers draw; the source is LaTeX.

    Raises:
        MissingExtra: latex2mathml is not installed.
    """
    with needs("explain", "a ledger as HTML"):
        from latex2mathml.converter import convert

    text: str = convert(latex)
    return text
