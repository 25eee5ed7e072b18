"""The rules of check. A module registers its own when it is imported, so all are imported here."""

from steepest.health.check.rules import (
    descent,
    facts,
    graph,
    inputs,
    labels,
    model,
    pairing,
    weights,
)
from steepest.health.findings.registry import functions_of

__all__ = [
    "descent",
    "facts",
    "functions_of",
    "graph",
    "inputs",
    "labels",
    "model",
    "pairing",
    "weights",
]
