"""Findings: what is wrong with a training, said so that somebody can act on it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, overload

Severity = Literal["info", "warn", "error"]
# fact: read exactly, no threshold. confirmed: an experiment showed it. suspected: a symptom only.
Confidence = Literal["fact", "confirmed", "suspected"]


@dataclass(frozen=True)
class Evidence:
    """One thing that was looked at: a measured value beside the expected one, and where."""

    measured: str
    expected: str
    where: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.measured}, expected {self.expected}{place}"


@dataclass(frozen=True)
class Finding:
    """A cause, with what shows it and what cures it.

    code: its name in the catalogue, as LR_TOO_HIGH. message: the cause in one line. evidence: what
    was measured. ruled_out: other causes that look alike, each with how it was ruled out. fix: a
    line of code. step: optimizer steps done when it was seen, 0 before training. consequences:
    findings that this one explains, which are not to be cured on their own.
    """

    code: str
    severity: Severity
    message: str
    fix: str
    evidence: tuple[Evidence, ...] = ()
    ruled_out: tuple[str, ...] = ()
    confidence: Confidence = "fact"
    step: int = 0
    consequences: tuple["Finding", ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data, for JSON."""
        return asdict(self)


class Findings(Sequence[Finding]):
    """Findings in order: the cause first. False if there are none; str() is a report.

    triage: what the tests before training said, a sentence each.
    """

    def __init__(self, findings: Iterable[Finding] = (), triage: Iterable[str] = ()) -> None:
        self._findings = tuple(findings)
        self.triage = tuple(triage)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> "Findings": ...
    def __getitem__(self, index: int | slice) -> "Finding | Findings":
        chosen = self._findings[index]
        return Findings(chosen) if isinstance(chosen, tuple) else chosen

    def __len__(self) -> int:
        return len(self._findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    def __str__(self) -> str:
        from steepest.health.findings.report import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"Findings({', '.join(f'{f.severity} {f.code}' for f in self)})"

    def _repr_html_(self) -> str:
        from steepest.health.findings.report import as_html

        return as_html(self)

    @property
    def errors(self) -> "Findings":
        return Findings(f for f in self if f.severity == "error")

    @property
    def actionable(self) -> "Findings":
        """Warnings and errors: all but the notes."""
        return Findings(f for f in self if f.severity != "info")

    @property
    def codes(self) -> list[str]:
        return [f.code for f in self]

    def to_json(self) -> str:
        return json.dumps([f.to_dict() for f in self])
