"""The rules of check. A module registers its own when it is imported, so all are imported here.

Thresholds stand at the top of each module. Where no source is named beside one, it was set by hand
on the fault programs, their healthy twins and the controls of tests/faults, on which it is measured
(docs/health/benchmark.md). Most of them only open an experiment, which decides.
"""

from steepest.health.check.rules import (
    descent,
    facts,
    flow,
    graph,
    inputs,
    labels,
    own_losses,
    pairing,
    parts,
    reach,
    sequences,
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
    "own_losses",
    "pairing",
    "parts",
    "reach",
    "sequences",
    "start",
    "weights",
]
