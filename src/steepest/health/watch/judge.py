"""What is wrong, by the rules and, on suspicion, by the check of the first minibatches."""

from collections.abc import Iterable
from functools import lru_cache

from steepest.health.clock import Clock
from steepest.health.findings.collection import Findings
from steepest.health.findings.finding import Finding
from steepest.health.findings.ranking import WEIGHT, ranked
from steepest.health.findings.registry import Phase
from steepest.health.replay.replay import Setup
from steepest.health.replay.untouched import untouched
from steepest.health.watch.fallen import fallen
from steepest.health.watch.good_states import GoodStates
from steepest.health.watch.label_tests import LabelTests, tests_of_labels
from steepest.health.watch.optimizer_trace import CAREFUL
from steepest.health.watch.relapse import Relapse, is_due
from steepest.health.watch.rules import functions_of
from steepest.health.watch.suspicion import lost_since, pre_flight, risen_since, suspicious
from steepest.health.watch.thawed import Thawed
from steepest.health.watch.trace import TrainingTrace, since_look

_FACTS_SECONDS = 0.2  # of the check of facts, after the first step
_EARLY = 50  # steps after each of which it is asked whether something is suspicious


class Judge:
    """Asks the rules, and keeps of each code the first finding, or a later one that is more severe.

    Twice at most it goes beyond what the trace tells. After the first step the facts of the check
    are looked at, on the model as it was at the start. On the first suspicion the experiments are
    made, once: what they find at the start, and, if that is nothing, on the model as it is now.

    setup: the user's objects. seconds: for the experiments.
    """

    def __init__(self, setup: Setup, trace: TrainingTrace, seconds: float) -> None:
        self._setup, self._trace, self._seconds = setup, trace, seconds
        self._by_code: dict[str, Finding] = {}
        self._started: Setup | None = None
        self._suspected = False
        self._good = GoodStates(setup)
        self._thawed = Thawed(setup)
        self._relapsed = False  # it was asked why what was learned is lost
        trace.ask_labels = lru_cache(maxsize=1)(self._ask_labels)
        self._reached: frozenset[str] = frozenset()  # parameters with a gradient at the first step

    @property
    def findings(self) -> Findings:
        return ranked(self._by_code.values())

    def start(self) -> None:
        """Keep a copy of the model as it is now, to answer what-ifs with."""
        with untouched():
            self._started = self._setup.copy()

    def after_step(self) -> None:
        trace = self._trace
        now_and_then = not since_look(trace.steps) or trace.first_nonfinite is not None
        if trace.steps <= CAREFUL or now_and_then:
            self._ask(Phase.STEP)
        if now_and_then:
            self._add(self._thawed.look(trace.steps))
        if trace.steps == 1:
            named = self._setup.model.named_parameters()
            self._reached = frozenset(name for name, p in named if p.grad is not None)
            self._check(experiments=False)
        due = trace.steps <= _EARLY or now_and_then
        self._look_back()
        lost = self._good.lost_since is not None  # of which the cause is asked first
        if due and not self._suspected and not lost and suspicious(trace):
            self._suspected = True
            self._check(experiments=True)

    def after_evaluation(self) -> None:
        self._ask(Phase.EVALUATION)

    def at_end(self) -> None:
        self._trace.ended = True
        self._ask(Phase.STEP)
        self._ask(Phase.END)
        self._look_back()
        if not self._suspected and suspicious(self._trace, at_end=True):
            self._check(experiments=True)
        if not self._relapsed and self._trace.first_nonfinite is None:
            with untouched():
                self._add(list(fallen(self._setup, self._trace, self._seconds)))

    def _look_back(self) -> None:
        """Keep a state that is good, and ask, once, why what was learned is lost."""
        trace, good = self._trace, self._good
        if trace.first_nonfinite is None and trace.loss_is_fresh:
            good.look(trace)
        if self._relapsed or not is_due(good, trace):
            return
        self._relapsed = True
        with untouched():
            found = list(Relapse(self._setup, good, trace, Clock(self._seconds)).findings())
        self._add(found)
        # What is left to find would be a consequence.
        self._suspected = self._suspected or any(f.confidence == "confirmed" for f in found)

    def _ask(self, phase: Phase) -> None:
        for look in functions_of(phase):
            self._add(look(self._trace))

    def _check(self, *, experiments: bool) -> None:
        """The check of the first minibatches; with experiments also of the model as it is now."""
        if self._started is None:
            return
        seconds = self._seconds if experiments else _FACTS_SECONDS
        self._add(pre_flight(self._started, self._trace, seconds, experiments, self._reached))
        if experiments and all(f.severity == "info" for f in self._by_code.values()):
            with untouched():
                risen = list(risen_since(self._started, self._trace, seconds))
                now = self._setup.copy()
            self._add(risen)
            if now is not None and not risen:  # units that died since would be a consequence
                self._add(lost_since(now, self._trace, seconds))

    def _ask_labels(self) -> LabelTests | None:
        """Once: whether neighbours or a new start of the net find what the labels depend on."""
        if self._started is None:
            return None
        return tests_of_labels(self._started, self._trace.batches, self._seconds)

    def _add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            known = self._by_code.get(finding.code)
            if known is None or WEIGHT[finding.severity] < WEIGHT[known.severity]:
                self._by_code[finding.code] = finding
