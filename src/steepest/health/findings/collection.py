"""Findings in their order, as users get them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from steepest.health.findings.finding import Finding
from steepest.health.findings.report import as_html, as_text


class Findings(Sequence[Finding]):
    """Findings in order: the cause first. False if there are none; str() is a report.

    Attributes:
        triage: What the tests before training said, a sentence each.
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
        return as_text(self, self.triage)

    def __repr__(self) -> str:
        return f"Findings({', '.join(f'{f.severity} {f.code}' for f in self)})"

    def _repr_html_(self) -> str:
        return as_html(self, self.triage)

    @property
    def errors(self) -> "Findings":
        """Those without which the training cannot go well."""
        return Findings(f for f in self if f.severity == "error")

    @property
    def actionable(self) -> "Findings":
        """Warnings and errors: all but the notes."""
        return Findings(f for f in self if f.severity != "info")

    @property
    def codes(self) -> list[str]:
        """The names of their rules, in order."""
        return [f.code for f in self]

    def to_json(self) -> str:
        """All of them as one JSON list."""
        return json.dumps([f.to_dict() for f in self])
