"""What `sp.check` and `sp.watch` say of two or three faults that are planted together."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from faults.case import Case, run
from faults.judge import ACTIONABLE, Steepest, wilson
from faults.pairs.edits import COMMON, Planted, planted
from steepest.health.findings.collection import Findings
from steepest.health.findings.finding import Finding
from steepest.health.findings.ranking import WEIGHT, ranked


@dataclass
class Together:
    """A training with several faults, and what was said of them.

    codes: warnings and errors of both, in the order of causes. below: codes that were said to follow
    from one of these. named: for each fault, whether it is among both. right: the first code is
    that of a fault that no other of them blocks. before: the same of what a reader meets first, as
    check is read before the training; what only the loop shows cannot be there. appears: once the fault that was named first is
    mended, the first code is again that of one that comes first among the rest. noise: codes of
    none of them.
    """

    name: str
    seed: int
    codes: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    named: dict[str, bool] = field(default_factory=dict)
    right: bool = False
    before: bool = False
    appears: bool = False
    noise: list[str] = field(default_factory=list)
    crash: str = ""

    @property
    def all_named(self) -> bool:
        return all(self.named.values())


def seen(one: Planted, seed: int) -> Together:
    """Run it under check and watch; `appears` is left open."""
    found, crash = _said(one.case(seed), seed)
    read = [f.code for f in found if f.severity in ACTIONABLE]
    actionable = [f for f in _in_order(found) if f.severity in ACTIONABLE]
    codes = [f.code for f in actionable]
    below = {f.code for f in _below(actionable) if f.severity in ACTIONABLE}
    said = below.union(codes)
    named = {name: not said.isdisjoint(COMMON[name].fault.right) for name in one.names}
    return Together(
        one.name,
        seed,
        codes,
        sorted(below.difference(codes)),
        named,
        right=bool(codes) and codes[0] in one.first,
        before=bool(read) and read[0] in one.first,
        noise=[code for code in codes if code not in one.allowed],
        crash=crash,
    )


def _said(case: Case, seed: int) -> tuple[list[Finding], str]:
    """All findings in the order in which they are read, and what failed."""
    found: list[Finding] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found += Steepest().before(case)
            with Steepest().around(case) as watcher:
                run(case, watcher, seed)
            found += watcher.findings
        except Exception as exc:  # a tool that fails on a program is part of the result
            return found, f"{type(exc).__name__}: {exc}"
    return found, ""


def _in_order(findings: Iterable[Finding]) -> Findings:
    """Of each code the most severe, as `watch` keeps them, and of all one order of causes."""
    by_code: dict[str, Finding] = {}
    flat = [f for one in findings for f in (one, *_below([one]))]
    for finding in sorted(flat, key=lambda f: WEIGHT[f.severity]):
        by_code.setdefault(finding.code, replace(finding, consequences=()))
    return ranked(by_code.values())


def _below(findings: Iterable[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield from finding.consequences
        yield from _below(finding.consequences)


def score_together(together: int, only: Sequence[str], seeds: int) -> Iterator[Together]:
    """Verdicts one after the other, those of the faults alone before them.

    only: names of faults, as rate; or of trainings, as rate+labels.
    """
    for seed in range(seeds):
        known: dict[frozenset[str], Together] = {}
        for one in _chosen(together, only):
            verdict = _seen_once(one, seed, known)
            mended = _mended_first(verdict, one)
            verdict.appears = _seen_once(one.without(mended), seed, known).right
            yield verdict


def _chosen(together: int, only: Sequence[str]) -> list[Planted]:
    every = planted(together)
    return [p for p in every if not only or p.name in only or not set(p.names).isdisjoint(only)]


def _seen_once(one: Planted, seed: int, known: dict[frozenset[str], Together]) -> Together:
    key = frozenset(one.names)
    if key not in known:
        known[key] = seen(one, seed)
    return known[key]


def _mended_first(verdict: Together, one: Planted) -> str:
    """The fault whose code was read first; the one that comes first where it is none's."""
    first = verdict.codes[0] if verdict.codes else ""
    by_code = [n for n in one.names if first in COMMON[n].fault.right]
    return (by_code or [n for n in one.names if COMMON[n].fault.truth in one.first])[0]


def line_of(v: Together) -> str:
    first = "right" if v.right else "WRONG" if v.codes else "MISSED"
    missing = [name for name, said in v.named.items() if not said]
    told = " ".join(v.codes) or "-"
    told += f"  below {' '.join(v.below)}" if v.below else ""
    told += f"  NOT NAMED {' '.join(missing)}" if missing else ""
    told += "" if v.appears else "  NOT AFTER THE FIX"
    told += f"  noise {' '.join(v.noise)}" if v.noise else ""
    crash = f"  CRASH {v.crash[:120]}" if v.crash else ""
    return f"{v.name:22} {v.seed} {first:6} {told}{crash}"


def figures(verdicts: Sequence[Together]) -> dict[str, Any]:
    """Shares with Wilson's intervals, which count trainings: that of one is the mean over seeds."""
    return {
        "all named": _share(verdicts, "all_named"),
        "first is right": _share(verdicts, "right"),
        "first is right, check before watch": _share(verdicts, "before"),
        "the rest appears after the first fix": _share(verdicts, "appears"),
        "noise a run": round(sum(len(v.noise) for v in verdicts) / len(verdicts), 3),
        "crashes": sum(bool(v.crash) for v in verdicts),
        "runs": [asdict(v) for v in verdicts],
    }


def _share(verdicts: Sequence[Together], what: str) -> str:
    n = len({v.name for v in verdicts})
    hits = n * sum(getattr(v, what) for v in verdicts) / len(verdicts)
    low, high = wilson(hits, n)
    return f"{hits:g} of {n} = {hits / n:.1%} ({low:.1%} to {high:.1%})"


def table(verdicts: Sequence[Together]) -> str:
    """Pairs as a square: N named both, F first right, A the other appears; a dot where not.

    Of several seeds what holds at each.
    """
    by_name: dict[frozenset[str], list[Together]] = {}
    for v in verdicts:
        by_name.setdefault(frozenset(v.named), []).append(v)
    rows = [f"{'':8}" + "".join(f"{name:>8}" for name in COMMON)]
    for a in COMMON:
        cells = (_cell(by_name.get(frozenset({a, b}), [])) if a != b else "" for b in COMMON)
        rows.append(f"{a:8}" + "".join(f"{cell:>8}" for cell in cells))
    return "\n".join(rows)


def _cell(verdicts: Sequence[Together]) -> str:
    if not verdicts:
        return ""
    marks = {"N": "all_named", "F": "right", "A": "appears"}
    held = (all(getattr(v, name) for v in verdicts) for name in marks.values())
    return "".join(mark if holds else "." for mark, holds in zip(marks, held, strict=True))
