"""One cause first: what follows from a finding becomes its consequence."""

from collections.abc import Iterable
from dataclasses import replace

from steepest.health.catalogue import CATALOGUE, place_of, rank_of
from steepest.health.finding import Finding, Findings

_WEIGHT = {"error": 0, "warn": 1, "info": 2}


def ranked(findings: Iterable[Finding]) -> Findings:
    """The independent causes in order, each with what follows from it.

    Severe and mild findings of the same rank stay in the catalogue's order; notes come last. A
    finding is demoted if one that comes before it, and is at least as sure to do harm, explains it.
    """
    ordered = sorted(findings, key=lambda f: (f.severity == "info", rank_of(f.code), _key(f)))
    causes: list[Finding] = []
    for finding in ordered:
        for k, cause in enumerate(causes):
            entry = CATALOGUE.get(cause.code)
            loud = cause.severity != "info" or finding.severity == "info"
            if entry and loud and finding.code in entry.explains:
                consequences = (*cause.consequences, finding)
                causes[k] = replace(cause, consequences=consequences)
                break
        else:
            causes.append(finding)
    return Findings(causes)


def _key(finding: Finding) -> tuple[int, int]:
    return _WEIGHT[finding.severity], place_of(finding.code)
