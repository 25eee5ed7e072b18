"""Findings in words: for a terminal or a pipe, and for a notebook."""

import html
import textwrap
from collections.abc import Iterator, Sequence

from steepest.health.findings.finding import Finding
from steepest.health.findings.registry import rule_of

_WIDTH = 96
NOT_CHECKED = "NOT_CHECKED"  # one line at the end, however much it was
_SURENESS = {
    "fact": "a fact, read exactly",
    "confirmed": "confirmed by an experiment",
    "suspected": "suspected; no experiment confirmed it",
}


def as_text(findings: Sequence[Finding], triage: Sequence[str] = ()) -> str:
    """Plain text, the cause first, what follows from it indented."""
    shown = [finding for finding in findings if finding.code != NOT_CHECKED]
    lines = [line for finding in shown for line in (*_lines(finding), "")]
    if not shown:
        lines = ["no findings", ""]
    lines += [f"test: {line}" for line in triage]
    for finding in findings:
        if finding.code == NOT_CHECKED:
            lines += _wrapped("", f"note: {finding.message}")
    return "\n".join(lines).rstrip("\n")


def _lines(finding: Finding) -> Iterator[str]:
    yield from _wrapped(f"{finding.severity}: {finding.code}: ", finding.message)
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
    for effect in finding.consequences:
        yield from _wrapped("  follows   ", f"{effect.code}: {effect.message}")


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
