"""Put a tool in front of a program and judge what it prints; the same for every tool."""

import math
import statistics
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from faults.case import Case, Fault, Outcome, run
from faults.programs import Program
from faults.repairs import fixed, repaired
from steepest.health.findings.finding import Finding

ACTIONABLE = ("warn", "error")
# Validated: the repaired run ends at most this far below the twin's accuracy.
WITHIN = 0.02


class Watcher(Protocol):
    """What `around` yields; findings: the most causal first."""

    @property
    def findings(self) -> Iterable[Finding]: ...


class Tool(Protocol):
    """Something that looks at a case before training, during it, or both.

    A code such as "DEAD_RELU|VANISHING_GRADIENT" is a message that can mean either; the judge takes
    the meaning that is most in the tool's favour.
    """

    def before(self, case: Case) -> Iterable[Finding]: ...
    def around(self, case: Case) -> AbstractContextManager[Any]: ...


@dataclass(frozen=True)
class Steepest:
    """`sp.check` before the training, `sp.watch` around it."""

    pre: bool = True
    during: bool = True

    def before(self, case: Case) -> Iterable[Finding]:
        import steepest as sp

        if not self.pre:
            return ()
        return sp.check(
            case.model, case.loss_fn, case.optimizer, case.train_loader, case.val_loader
        )

    def around(self, case: Case) -> AbstractContextManager[Any]:
        import steepest as sp

        if not self.during:
            return Unwatched()
        return sp.watch(case.model, case.loss_fn, case.optimizer, case.train_loader)


class Unwatched:
    """In place of a watcher, for a tool that only looks before the training."""

    findings: Sequence[Finding] = ()

    def __enter__(self) -> "Unwatched":
        return self

    def __exit__(self, *_: object) -> None:
        return None


@dataclass
class Verdict:
    """What a tool printed on one run, and what that was worth.

    truth: the code of the program's fault, its twin's too; empty for a control. first: the code
    that is read first among the actionable ones (warn and error), those before the training before those
    during it. validated: the fix for it cures; by_fix: by the fix as a program applies it, not by
    the author's edit. noise: actionable codes that are neither right nor follow from the fault. step:
    optimizer steps until the first right code, None if there was none. seconds: before the training.
    """

    program: str
    group: str
    seed: int
    healthy: bool
    truth: str = ""
    first: str = ""
    message: str = ""
    actionable: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    infos: int = 0
    noise: list[str] = field(default_factory=list)
    right: bool = False
    validated: bool = False
    by_fix: bool = False
    step: int | None = None
    seconds: float = 0.0
    accuracy: float = 0.0
    crash: str = ""

    @property
    def detected(self) -> bool:
        return bool(self.actionable)


def judge(program: Program, seed: int, tool: Tool) -> list[Verdict]:
    """A verdict of the program, and of its twin if it has one."""
    if program.fault is None:
        return [observe(program, seed, tool, healthy=True)[0]]
    verdict, _ = observe(program, seed, tool)
    twin, outcome = observe(program, seed, tool, healthy=True)
    verdict.validated = bool(verdict.first) and _cures(program, seed, verdict.first, outcome)
    verdict.by_fix = verdict.validated and fixed(program.case(seed), verdict.first) is not None
    return [verdict, twin]


def observe(
    program: Program, seed: int, tool: Tool, healthy: bool = False
) -> tuple[Verdict, Outcome]:
    """What the tool prints on one run, and how the run went."""
    truth = program.fault.truth if program.fault else ""
    verdict = Verdict(program.name, program.group, seed, healthy, truth)
    case = program.case(seed, healthy)
    found: list[tuple[Finding, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            start = time.perf_counter()
            found += [(finding, 0) for finding in tool.before(case)]
            verdict.seconds = time.perf_counter() - start
        except Exception as exc:  # a tool that fails on a program is part of the result
            verdict.crash = f"before: {type(exc).__name__}: {exc}"
        try:
            with tool.around(case) as watcher:
                outcome = run(case, watcher, seed)
            found += [(finding, finding.step) for finding in watcher.findings]
        except Exception as exc:
            verdict.crash += f" during: {type(exc).__name__}: {exc}"
            outcome = run(program.case(seed, healthy), seed=seed)
    verdict.accuracy = outcome.last.accuracy
    _read(verdict, found, program.fault)
    return verdict, outcome


def _read(verdict: Verdict, found: list[tuple[Finding, int]], fault: Fault | None) -> None:
    """Fill in what was actionable and, on a faulty run, what of it was right."""
    found = [(replace(f, code=_meant(f.code, fault)), step) for f, step in found]
    if verdict.healthy and fault:
        found = [(f, step) for f, step in found if f.code not in fault.also]
    actionable = [(f, step) for f, step in found if f.severity in ACTIONABLE]
    verdict.actionable = list(dict.fromkeys(f.code for f, _ in actionable))
    verdict.errors = list(dict.fromkeys(f.code for f, _ in actionable if f.severity == "error"))
    verdict.infos = len({f.code for f, _ in found if f.severity == "info"})
    if actionable:
        verdict.first, verdict.message = actionable[0][0].code, actionable[0][0].message
    if fault is None or verdict.healthy:
        return
    allowed = fault.right.union(fault.consequence, fault.also)
    verdict.right = verdict.first in fault.right
    verdict.noise = [code for code in verdict.actionable if code not in allowed]
    verdict.step = min((step for f, step in actionable if f.code in fault.right), default=None)


def _meant(code: str, fault: Fault | None) -> str:
    """The one of several meanings that is most in the tool's favour."""
    codes = code.split("|")
    if fault is None:
        return codes[0]
    allowed = fault.right.union(fault.consequence, fault.also)
    ranked = [*filter(fault.right.__contains__, codes), *filter(allowed.__contains__, codes)]
    return (ranked or codes)[0]


def _cures(program: Program, seed: int, code: str, healthy: Outcome) -> bool:
    """Whether the fix for the printed code brings the run to where its twin is."""
    fault = program.fault
    assert fault
    right = code in fault.right
    case = repaired(program.case(seed), program.case(seed, healthy=True), code, right)
    if case is None:
        return False
    short = healthy.last.accuracy - run(case, seed=seed).last.accuracy
    return abs(short) <= WITHIN if fault.harm == "report" else short <= WITHIN


def wilson(hits: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), 95 % by default."""
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def totals(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The figures of section Scoring in docs/health/benchmark.md.

    A program's share is the mean over its seeds; intervals count programs, not runs.
    """
    faulty = [v for v in verdicts if not v.healthy]
    healthy = [v for v in verdicts if v.healthy]
    result: dict[str, Any] = {}
    if faulty:
        for name in ("detected", "right", "validated"):
            result[name] = _share(faulty, name)
        result["noise per run"] = round(statistics.mean(len(v.noise) for v in faulty), 3)
        result["validated by a fix, not the author's edit"] = _share(faulty, "by_fix")
        steps = [v.step for v in faulty if v.step is not None]
        result["median steps to the right code"] = statistics.median(steps) if steps else None
        result["greatest steps to the right code"] = max(steps, default=None)
    if healthy:
        result["programs with a warning"] = _any(healthy, "actionable")
        result["programs with an error"] = _any(healthy, "errors")
        result["infos per run"] = round(statistics.mean(v.infos for v in healthy), 3)
    seconds = sorted(v.seconds for v in verdicts)
    result["seconds before"] = {
        "median": round(statistics.median(seconds), 3),
        "greatest": round(seconds[-1], 3),
    }
    result["crashes"] = sum(bool(v.crash) for v in verdicts)
    return result


def _share(verdicts: Sequence[Verdict], name: str) -> dict[str, Any]:
    by_program: dict[str, list[bool]] = {}
    for v in verdicts:
        by_program.setdefault(v.program, []).append(getattr(v, name))
    return _interval(sum(map(statistics.mean, by_program.values())), len(by_program))


def _any(verdicts: Sequence[Verdict], name: str) -> dict[str, Any]:
    programs = {v.program for v in verdicts}
    return _interval(len({v.program for v in verdicts if getattr(v, name)}), len(programs))


def _interval(hits: float, n: int) -> dict[str, Any]:
    low, high = wilson(hits, n)
    return {
        "share": round(hits / n, 4),
        "programs": n,
        "interval": [round(low, 4), round(high, 4)],
    }


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    groups = {v.group for v in verdicts}
    by_group = {g: totals([v for v in verdicts if v.group == g]) for g in sorted(groups)}
    return {"all": totals(verdicts), **by_group, "runs": [asdict(v) for v in verdicts]}
