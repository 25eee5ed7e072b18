"""Health: what is wrong with a training, why, and what cures it."""

from steepest.health.check.check import check, examine
from steepest.health.findings.collection import Findings
from steepest.health.findings.finding import Confidence, Evidence, Finding, Severity
from steepest.health.findings.ranking import findings_of
from steepest.health.watch.watch import Watch, watch

__all__ = [
    "Confidence",
    "Evidence",
    "Finding",
    "Findings",
    "Severity",
    "Watch",
    "check",
    "examine",
    "findings_of",
    "watch",
]
