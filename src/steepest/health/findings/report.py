"""Findings in words: for a terminal or a pipe, and for a notebook."""

import html
import textwrap
from collections.abc import Iterator, Sequence

from steepest.health.findings.finding import Finding
from steepest.health.findings.registry import rule_of

_WIDTH = 96
_SCREEN = 30  # lines
_LEFT = 4  # lines for the codes of those that have no line of their own
_EFFECTS = 2  # of a finding that are told; of more their codes
NOT_CHECKED = "NOT_CHECKED"  # one line at the end, however much it was
_SURENESS = {
    "fact": "a fact, read exactly",
    "confirmed": "confirmed by an experiment",
    "suspected": "suspected; no experiment confirmed it",
}


def as_text(findings: Sequence[Finding], triage: Sequence[str] = ()) -> str:
    """Plain text of one screen: the cause first and in full, the others as far as there is room.

    What follows from a finding stands below it. Of one alone, `findings[2:3]`, all is said.
    """
    shown = [finding for finding in findings if finding.code != NOT_CHECKED]
    ends = [line for told in triage for line in _wrapped("", f"test: {told}")]
    for finding in findings:
        if finding.code == NOT_CHECKED:
            ends += _wrapped("", f"note: {finding.message}")
    blocks = [[*_lines(finding), ""] for finding in shown]
    room = _SCREEN - len(ends) - 2  # a line that says how to see all, and one that stands apart
    short = 0  # the first of those that are shortened
    for shorter in (_in_short, _named):
        for k in range(len(shown) - 1, 0, -1):
            if sum(map(len, blocks)) > room:
                blocks[k], short = shorter(shown[k]), k if shorter is _in_short else short
    if sum(map(len, blocks)) > room:
        while sum(map(len, blocks)) > room - _LEFT and len(blocks) > 1:
            blocks.pop()
    lines = [line for block in blocks for line in block] if shown else ["no findings", ""]
    if hidden := shown[len(blocks) :]:
        lines += _wrapped("", f"and {', '.join(finding.code for finding in hidden)}")
    if short:
        lines += [""] if lines[-1] else []
        how = f"findings[{short}:{short + 1}]"
        ends.append(f"note: shortened to a screen; {how} or --json shows one in full")
    return "\n".join(lines + ends).rstrip("\n")


def _lines(finding: Finding) -> Iterator[str]:
    yield from _head(finding)
    if finding.step:
        yield f"  step      {finding.step}"
    for evidence in finding.evidence:
        yield from _wrapped("  measured  ", str(evidence))
    for reason in finding.ruled_out:
        yield from _wrapped("  not       ", reason)
    yield from _wrapped("  fix       ", finding.fix)
    yield from _wrapped("  sure      ", _sureness(finding))
    if known := rule_of(finding.code):
        yield f"  more      {known.command}"
    if len(finding.consequences) > _EFFECTS:
        yield from _wrapped("  follows   ", ", ".join(one.code for one in finding.consequences))
        return
    for effect in finding.consequences:
        yield from _wrapped("  follows   ", f"{effect.code}: {effect.message}")


def _in_short(finding: Finding) -> list[str]:
    """Cause, number and fix."""
    numbers = [line for one in finding.evidence[:1] for line in _wrapped("  measured  ", str(one))]
    return [*_head(finding), *numbers, *_wrapped("  fix       ", finding.fix), ""]


def _named(finding: Finding) -> list[str]:
    return _head(finding)


def _head(finding: Finding) -> list[str]:
    return _wrapped(f"{finding.severity}: {finding.code}: ", finding.message)


def _sureness(finding: Finding) -> str:
    ran = "; ".join(finding.experiments) if finding.confidence == "confirmed" else ""
    return _SURENESS[finding.confidence] + (f": {ran}" if ran else "")


def _wrapped(label: str, text: str) -> list[str]:
    """Text after its label, later lines below the first."""
    indent = " " * (12 if label.startswith("  ") else 4)
    return textwrap.wrap(
        label + text, _WIDTH, subsequent_indent=indent, break_long_words=False, tabsize=1
    )


def as_html(findings: Sequence[Finding], triage: Sequence[str] = ()) -> str:
    """The same for a notebook."""
    shown = [finding for finding in findings if finding.code != NOT_CHECKED]
    notes = [f"test: {line}" for line in triage]
    notes += [f"note: {finding.message}" for finding in findings if finding.code == NOT_CHECKED]
    return ("".join(map(_block, shown)) or "<p>no findings</p>") + "".join(
        f"<p><small>{html.escape(line)}</small></p>" for line in notes
    )


def _block(finding: Finding) -> str:
    rows = [
        *(("measured", str(evidence)) for evidence in finding.evidence),
        *(("not", reason) for reason in finding.ruled_out),
        ("fix", finding.fix),
        ("sure", _sureness(finding)),
        *(("follows", f"{f.code}: {f.message}") for f in finding.consequences),
    ]
    if known := rule_of(finding.code):
        rows.append(("more", known.command))
    cells = "".join(
        f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>"
        f"{_code(value) if name in ('fix', 'more') else html.escape(value)}</td></tr>"
        for name, value in rows
    )
    head = f"<b>{finding.severity}: {finding.code}</b>: {html.escape(finding.message)}"
    return f"<div><p>{head}</p><table>{cells}</table></div>"


def _code(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"
