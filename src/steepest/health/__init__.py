"""Health: what is wrong with a training, why, and what cures it."""

from steepest.health.check import check, examine
from steepest.health.finding import Confidence, Evidence, Finding, Findings, Severity

__all__ = ["Confidence", "Evidence", "Finding", "Findings", "Severity", "check", "examine"]
