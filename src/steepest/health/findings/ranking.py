"""One cause first: what follows from a finding becomes its consequence."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

from steepest.errors import RunError
from steepest.health.findings.collection import Findings
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Confidence, Evidence, Finding
from steepest.health.findings.registry import order_of, rule_of

WEIGHT = {"error": 0, "warn": 1, "info": 2}
_CONFIDENCES = get_args(Confidence)
_RUN = frozenset(Experiment)
_DEEPEST = 8  # consequences of consequences


def ranked(findings: Iterable[Finding]) -> Findings:
    """The independent causes in order, each with what follows from it.

    Severe and mild findings of the same rank stay in the catalogue's order; notes come last. A
    finding is demoted if one that comes before it, and is at least as sure to do harm, explains it.
    """
    ordered = sorted(findings, key=lambda f: (f.severity == "info", *_key(f)))
    causes: list[Finding] = []
    for finding in ordered:
        for k, cause in enumerate(causes):
            known = rule_of(cause.code)
            comparable = cause.severity != "info" or finding.severity == "info"
            follows = known and finding.code in known.explains and cause.code not in finding.apart
            if follows and comparable:
                if all(one.code != finding.code for one in cause.consequences):
                    consequences = (*cause.consequences, finding)
                    causes[k] = replace(cause, consequences=consequences)
                break
        else:
            causes.append(finding)
    return Findings(causes)


def _key(finding: Finding) -> tuple[int, int, int]:
    rank, place = order_of(finding.code)
    return rank, WEIGHT[finding.severity], place


def findings_of(texts: Iterable[str]) -> Findings:
    """Findings from the JSON of each, as a record keeps them. Raises RunError if one is damaged."""
    try:
        return ranked(_of_dict(json.loads(text)) for text in texts)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RunError(f"the findings of the run are damaged: {error}") from None


def _of_dict(plain: dict[str, Any], depth: int = 0) -> Finding:
    """Raises one of what `findings_of` catches unless it is what Finding.to_dict gives."""
    words = {name: plain[name] for name in ("code", "message", "fix", "severity", "confidence")}
    step = plain.get("step", 0)
    if any(type(text) is not str for text in words.values()) or type(step) is not int:
        raise ValueError(f"one is {plain!r:.200}")
    if words["severity"] not in WEIGHT or words["confidence"] not in _CONFIDENCES:
        raise ValueError(f"{words['severity']!r:.50}, {words['confidence']!r:.50} is no finding")
    if abs(step) >= 2**53 or depth > _DEEPEST:
        raise ValueError("one has a step or consequences beyond all bounds")
    evidence = tuple(Evidence(**{k: str(v) for k, v in e.items()}) for e in plain["evidence"])
    consequences = tuple(_of_dict(one, depth + 1) for one in plain["consequences"])
    ruled_out = tuple(map(str, plain["ruled_out"]))
    given: dict[str, Any] = {
        "evidence": evidence,
        "consequences": consequences,
        "ruled_out": ruled_out,
        "apart": tuple(map(str, plain.get("apart", ()))),
    }
    # Records of earlier versions do not name what was run.
    if plain["confidence"] == "confirmed" and not any(e.experiment in _RUN for e in evidence):
        given["confidence"] = "suspected"
    return Finding(**{**plain, **given})
