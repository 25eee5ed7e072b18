"""The rules of check. A module registers its own when it is imported, so all are imported here."""

from steepest.health.check.rules import (
    descent,
    facts,
    flow,
    graph,
    inputs,
    labels,
    pairing,
    parts,
    reach,
    start,
    weights,
)
from steepest.health.findings.registry import functions_of

__all__ = [
    "descent",
    "facts",
    "flow",
    "functions_of",
    "graph",
    "inputs",
    "labels",
    "pairing",
    "parts",
    "reach",
    "start",
    "weights",
]
