"""The rules: each is written once, above the function that looks for its fault.

    @rule("DEAD_RELU", "units that are 0 for every row", Phase.EXPERIMENT, rank="model", ...)
    def dead_relu(context): ...

From these decorators follow what `steepest explain rule` lists, the order in which causes are
shown, what counts as a consequence of what, and which functions check and watch call, and when. A
fault that is looked for in two places is written above one of them; the other says `@looks_for`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal, TypeVar, get_args

from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Confidence, Evidence, Finding, Severity

Rank = Literal[
    "program",
    "data",
    "loss",
    "input scale",
    "model",
    "labels",
    "optimizer",
    "dynamics",
    "generalisation",
    "note",
]
# The order of causes: what comes first is put right first.
RANKS: tuple[Rank, ...] = get_args(Rank)

# What a training that goes wrong does, whatever is to blame.
COURSE = frozenset({"PREMATURE_NAN", "LEARNING_LOST"})
# Faults of the descent and of the net that follow from many a cause.
DESCENT = COURSE | {"LR_TOO_HIGH", "LR_TOO_LOW", "MOMENTUM_TOO_HIGH"}
_FLOW = {"DEAD_RELU", "SATURATED", "VANISHING_GRADIENT", "INIT_TOO_SMALL", "INPUT_IGNORED"}
EVERYTHING = DESCENT | _FLOW | {"INIT_TOO_LARGE", "WEIGHT_DECAY_TOO_LARGE"}
# Of a fault in the loop's own lines: what-ifs take steps of their own, and blame no other for it.
AFTER_STEPS = COURSE | _FLOW


class Phase(Enum):
    """When a function is called. Check goes through the first eight in this order.

    The first five are made always, the others as long as there is time.
    """

    MODEL = auto()  # needs no data
    ROWS = auto()  # needs no forward pass
    FIRST_PASS = auto()  # reads one forward and backward pass
    PROBE = auto()  # takes a few forward passes
    SHOWN = auto()  # reads them, and takes steps on copies to show the harm if there is time
    NEIGHBOURS = auto()  # compares rows with their neighbours, columns with the labels
    EXPERIMENT = auto()  # takes some 30 steps on copies
    LONG_EXPERIMENT = auto()  # takes more
    STEP = auto()  # of a watched training, after a step
    EVALUATION = auto()  # after its rows were evaluated without gradients
    END = auto()  # when it is over


_WEIGHT: dict[Severity, int] = {"info": 0, "warn": 1, "error": 2}


@dataclass(frozen=True)
class Rule:
    """One fault. severity: of a finding that is sure; others are milder, none is more severe.

    place: among the causes of its rank, lower ones are shown first. explains: codes that follow
    from it if it is there. confirmed_by: experiments that may confirm it; none for what is a fact
    or stays a suspicion.
    """

    code: str
    title: str
    rank: Rank
    place: int
    severity: Severity
    explains: frozenset[str] = field(default_factory=frozenset)
    confirmed_by: frozenset[Experiment] = field(default_factory=frozenset)

    @property
    def command(self) -> str:
        """The command that prints its page."""
        return f"steepest explain rule {self.code}"

    @property
    def page(self) -> str:
        """The file of its page, in docs/health."""
        return f"{self.code.lower()}.md"

    @property
    def order(self) -> tuple[int, int]:
        """Its place among all causes."""
        return RANKS.index(self.rank), self.place


_RULES: dict[str, Rule] = {}
_FUNCTIONS: dict[Phase, dict[Callable[..., Any], tuple[int, int]]] = {phase: {} for phase in Phase}

_CODES: dict[Callable[..., Any], list[str]] = {}

Looks = TypeVar("Looks", bound=Callable[..., Any])


def rule(
    code: str,
    title: str,
    *phases: Phase,
    rank: Rank,
    place: int,
    severity: Severity,
    explains: Iterable[str] = (),
    confirmed_by: Iterable[Experiment] = (),
) -> Callable[[Looks], Looks]:
    """Register the rule that the function below looks for.

    Without phases nothing but other functions calls it, as for a second rule of one function.
    """
    if code in _RULES:
        raise ValueError(f"the rule {code} is registered twice")
    effects = frozenset(explains) - {code}
    known = Rule(code, title, rank, place, severity, effects, frozenset(confirmed_by))
    _RULES[code] = known
    return looks_for(code, *phases)


def looks_for(code: str, *phases: Phase) -> Callable[[Looks], Looks]:
    """Let the function below look for a registered fault in these phases."""
    order = _RULES[code].order

    def register(function: Looks) -> Looks:
        _CODES.setdefault(function, []).insert(0, code)
        for phase in phases:
            _FUNCTIONS[phase][function] = order
        return function

    return register


def rules() -> dict[str, Rule]:
    """All rules by code, in the order of causes."""
    return {known.code: known for known in sorted(_RULES.values(), key=lambda r: r.order)}


def functions_of(phase: Phase) -> dict[Callable[..., Any], tuple[int, int]]:
    """What is called in a phase, in the order of causes, with its place in that order."""
    return dict(sorted(_FUNCTIONS[phase].items(), key=lambda item: item[1]))


def codes_of(function: Callable[..., Any]) -> str:
    """The codes that a function looks for, for a reader."""
    return ", ".join(_CODES.get(function, [function.__name__]))


def order_of(code: str) -> tuple[int, int]:
    """The place of a code among all causes; unknown ones come last."""
    known = _RULES.get(code)
    return known.order if known else (len(RANKS), 0)


def rule_of(code: str) -> Rule | None:
    return _RULES.get(code)


def make_finding(
    code: str,
    message: str,
    fix: str,
    evidence: Iterable[Evidence] = (),
    *,
    ruled_out: Iterable[str] = (),
    confidence: Confidence = "fact",
    step: int = 0,
    severity: Severity | None = None,
) -> Finding:
    """A finding of a rule. severity: that of the rule, or a milder one.

    Raises ValueError for a finding that is called confirmed without evidence of an experiment that
    may confirm its rule.
    """
    most = _RULES[code].severity
    severity = severity or most
    if _WEIGHT[severity] > _WEIGHT[most]:
        raise ValueError(f"{code} is of severity {most}, not {severity}")
    finding = Finding(
        code, severity, message, fix, tuple(evidence), tuple(ruled_out), confidence, step
    )
    may_confirm = _RULES[code].confirmed_by
    if confidence == "confirmed" and may_confirm.isdisjoint(finding.experiments):
        raise ValueError(f"{code} cannot be confirmed by {', '.join(finding.experiments)}")
    return finding
