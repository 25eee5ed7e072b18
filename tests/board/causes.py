"""Writes src/steepest/board/causes.json: python tests/board/causes.py."""

import json
from pathlib import Path

import steepest.health  # noqa: F401  its import registers the rules
from steepest.health.findings.registry import rules

PLACE = Path(__file__).parents[2] / "src" / "steepest" / "board" / "causes.json"


def text():
    """What the order of causes takes, of each rule."""
    known = {
        code: {"order": list(rule.order), "explains": sorted(rule.explains)}
        for code, rule in rules().items()
    }
    return (
        "{\n" + ",\n".join(f" {json.dumps(c)}: {json.dumps(k)}" for c, k in known.items()) + "\n}\n"
    )


if __name__ == "__main__":
    PLACE.write_text(text(), "utf-8")
