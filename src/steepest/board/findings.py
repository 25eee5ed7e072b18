"""Findings for a page: the cause first, what follows from it as its consequence.

`health/findings/ranking.py` does so where rules are registered, which takes torch; causes.json has
of each rule what the order needs. tests/board/causes.py writes it, a test keeps it to the rules.
"""

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

_WEIGHT = {"error": 0, "warn": 1, "info": 2}
_TEXT, _MOST = 4000, 50


@cache
def _causes() -> dict[str, tuple[list[int], frozenset[str]]]:
    """Code -> its place among all causes, and the codes that it explains."""
    text = files("steepest.board").joinpath("causes.json").read_text("utf-8")
    known = json.loads(text)
    return {code: (one["order"], frozenset(one["explains"])) for code, one in known.items()}


def ranked(findings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The independent causes in order, each with what follows from it in `consequences`."""
    last: tuple[list[int], frozenset[str]] = ([10_000, 0], frozenset())

    def key(one: dict[str, Any]) -> tuple[bool, int, int, int]:
        rank, place = _causes().get(one["code"], last)[0]
        return one["severity"] == "info", rank, _WEIGHT.get(one["severity"], 3), place

    causes: list[dict[str, Any]] = []
    for finding in sorted(findings, key=key):
        for cause in causes:
            explains = _causes().get(cause["code"], last)[1]
            comparable = cause["severity"] != "info" or finding["severity"] == "info"
            follows = finding["code"] in explains and cause["code"] not in finding.get("apart", ())
            if comparable and follows:
                below = cause.get("consequences", [])
                if all(one["code"] != finding["code"] for one in below):
                    cause["consequences"] = [*below, finding]
                break
        else:
            causes.append(finding)
    return causes


def parsed(details: str) -> dict[str, Any]:
    """A finding of a record, its texts cut to what one reads. Raises as JSON and dicts do."""
    found = json.loads(details)
    return {
        **{name: str(found[name])[:_TEXT] for name in ("code", "severity", "message", "fix")},
        "confidence": str(found.get("confidence", "fact"))[:40],
        "step": int(found.get("step", 0)),
        "evidence": [_evidence(one) for one in found.get("evidence", [])[:_MOST]],
        "ruled_out": [str(one)[:_TEXT] for one in found.get("ruled_out", [])[:_MOST]],
        "apart": [str(code)[:_TEXT] for code in found.get("apart", [])[:_MOST]],
        "consequences": [
            {"code": str(one["code"])[:_TEXT], "message": str(one["message"])[:_TEXT]}
            for one in found.get("consequences", [])[:_MOST]
        ],
    }


def _evidence(one: dict[str, Any]) -> dict[str, str]:
    """What was measured, and the experiment that showed it where there was one."""
    names = ["measured", "expected", "where", *(["experiment"] if one.get("experiment") else [])]
    return {name: str(one.get(name, ""))[:_TEXT] for name in names}
