"""Findings: what is wrong with a training, said so that somebody can act on it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from steepest.health.findings.experiments import Experiment

Severity = Literal["info", "warn", "error"]
# fact: read exactly, no threshold. confirmed: an experiment showed it. suspected: a symptom only.
Confidence = Literal["fact", "confirmed", "suspected"]


@dataclass(frozen=True)
class Evidence:
    """One thing that was looked at.

    Attributes:
        measured: The value, with what it is a value of.
        expected: What it is on a sound training.
        where: In which layer, column, row or step.
        experiment: What was run to measure it, one of `Experiment`; "" if it was only read.
    """

    measured: str
    expected: str
    where: str = ""
    experiment: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.measured}, expected {self.expected}{place}"


@dataclass(frozen=True)
class Finding:
    """A cause, with what shows it and what cures it.

    Attributes:
        code: The name of its rule, as LR_TOO_HIGH; `steepest explain rule` prints the page.
        severity: "info" for a note, "warn", or "error" where the training cannot go well.
        message: The cause in one line.
        fix: A line of code, or what to do.
        evidence: What was measured.
        ruled_out: Other causes that look alike, each with how it was ruled out.
        confidence: "fact", read exactly; "confirmed" by an experiment, which `evidence` names;
            "suspected", a symptom.
        step: Optimizer steps done when it was seen, 0 before training.
        consequences: Findings that this one explains; they are not to be cured on their own.
        apart: Codes of causes that were mended where this was measured: it follows from none.
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
    apart: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.confidence == "confirmed" and not self.experiments:
            raise ValueError(f"{self.code} is called confirmed, and its evidence has no experiment")

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """What was run for its evidence."""
        named = {evidence.experiment for evidence in self.evidence}
        return tuple(one for one in Experiment if one in named)

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data, for JSON."""
        return asdict(self)
