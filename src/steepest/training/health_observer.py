"""Looks on while steepest trains: rules of its epochs, and what-ifs where it does not learn.

Nothing is asked of a run that learns. On suspicion, once, its first steps are taken again at other
rates (`RateTrials`), and if these are not to blame the whole check is made on the first weights.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from steepest.engine import OptimizerState, seeded
from steepest.health import Evidence, Finding, Findings
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.registry import make_finding
from steepest.health.watch.evaluations import MeasuredEvaluation
from steepest.health.watch.rules.evaluation import collapse, overfitting
from steepest.health.watch.suspicion import FAR, NO_PROGRESS, PATIENCE
from steepest.run import EpochFinished, Event, FindingMade, IntervalFinished, RunStarted, RunStopped
from steepest.training.preflight import preflight
from steepest.training.preparation import Preparation
from steepest.training.rate_trials import RateTrials
from steepest.training.relapse import Relapse
from steepest.training.unfinished import Progress

_STEPS = 30  # of a what-if, as in the check
# Factors of the rate that are tried: a usual rate is seldom wrong by more.
_LOWER, _HIGHER = (0.1, 0.01, 0.001), (10.0, 100.0, 1e3, 1e4, 1e5)
_FASTER = (3.0, 10.0)  # of a run that ended while it learned
_FEWEST_STEPS = 10  # of a what-if
# What all experiments of a run may take of the processor: so many seconds where it breaks, for then
# it ends; a tenth of the whole run where it only does not learn, and a little in a short one.
_SECONDS, _SHARE, _LEAST_SECONDS = 5.0, 0.1, 0.1
_OF_A_CHECK = 0.03  # seconds below which the check is not begun
# Codes of the check that mean nothing while a run is under way, or that were asked before.
_NOT_ASKED = ("NOT_CHECKED", "LR_TOO_HIGH", "LR_TOO_LOW", "NONFINITE_WEIGHTS")


class HealthObserver:
    """An observer of a run: gets each event, and says `notify(FindingMade)` once for each code.

    From step to step it keeps the latest loss and, of each epoch, the figures of its evaluation.

    rate: the learning rate of a step. findings: what the check before training found. earlier: the
    epochs of a run that goes on. export: makes its model current between two calls of its engine,
    and gives what its optimizer keeps.
    """

    def __init__(
        self,
        prepared: Preparation,
        rate: Callable[[int], float],
        findings: Findings,
        notify: Callable[[Event], None],
        earlier: Iterable[EpochFinished] = (),
        export: Callable[[], OptimizerState] | None = None,
    ) -> None:
        self._prepared, self._plan, self._notify = prepared, prepared.plan, notify
        self._given = findings
        self._reported: set[str] = set()
        self._step, self._loss = 0, math.nan
        self._evaluations: list[MeasuredEvaluation] = []
        self._progress = Progress(self._plan.rows, self._rows_of("validation"))
        for epoch in earlier:
            self._progress.epoch(epoch)
        self._initial_loss, self._chance = math.nan, math.nan
        self._asked = self._looked_back = False  # for what-ifs: at most once a run
        self._begun, self._first, self._total = time.thread_time(), 0, 0
        self._trials = RateTrials(prepared, rate, _SECONDS)
        self._relapse = Relapse(self._plan, self._trials, rate, export)

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin(event)
            case IntervalFinished():
                self._progress.interval(event)
                self._step, self._loss = event.step, event.stats.loss
                if self._relapse.interval(event):
                    self._look_back(running=math.isfinite(self._loss))
                elif not self._relapse.lost:
                    self._suspect(event.step)
            case EpochFinished():
                self._take_in(event)
            case RunStopped():
                self._end(event)

    def _begin(self, event: RunStarted) -> None:
        self._initial_loss, self._chance = event.initial_loss, event.chance_loss
        self._begun, self._first, self._total = time.thread_time(), event.step, event.total_steps
        self._relapse.begin(event.step, min(event.initial_loss, event.chance_loss))
        if event.step == 0:
            self._trials.remember_start()
        for finding in self._given:
            self._make(finding)

    def _take_in(self, event: EpochFinished) -> None:
        self._progress.epoch(event)
        if event.val_loss is None:
            return
        rows = self._rows_of("validation")
        # The rows' own losses are not known here: their spread is taken to be that of the mean.
        error = event.val_loss / math.sqrt(rows) if rows >= 2 else 0.0
        accuracy = event.val_acc or 0.0
        self._evaluations.append(
            MeasuredEvaluation(event.step, rows, event.val_loss, error, accuracy, event.train_loss)
        )
        for finding in overfitting(self._evaluations, self._step):
            self._make(finding)

    def _suspect(self, step: int) -> None:
        """Evidence of harm: far above the start, or no better than chance after 200 steps."""
        if self._asked or not math.isfinite(self._initial_loss):
            return
        loss = self._loss
        away = not math.isfinite(loss) or loss > self._initial_loss + max(FAR, self._chance)
        epoch = self._plan.steps_per_epoch
        flat = step >= max(PATIENCE, epoch) and loss >= NO_PROGRESS * min(
            self._initial_loss, self._chance
        )
        if away or flat:
            self._ask(step, away)

    def _ask(self, step: int, away: bool) -> None:
        """The what-ifs, once: the rate first, then all that the check knows."""
        self._asked = True
        a_step = self._a_step
        if not away:
            run = a_step * (self._total - self._first)
            self._trials.affordable = max(_SHARE * run, _LEAST_SECONDS)
        finding = self._rate_to_blame(step, away, a_step)
        left = self._trials.affordable - self._trials.spent
        if finding is not None:
            self._make(finding)
        elif left > _OF_A_CHECK:
            prepared = replace(self._prepared, plan=self._trials.plan_at_start() or self._plan)
            for other in preflight(prepared, min(left, _SECONDS / 2), thorough=True):
                if other.code not in _NOT_ASKED:
                    self._make(replace(other, step=step))

    @property
    def _a_step(self) -> float:
        """Seconds of the processor that a step takes, with all that is around it."""
        return (time.thread_time() - self._begun) / max(1, self._step - self._first)

    def _rate_to_blame(self, step: int, away: bool, a_step: float) -> Finding | None:
        """Whether other rates are better from the start; a_step: seconds that a step takes."""
        if not self._trials.possible:
            return None
        steps = min(_STEPS, max(2, self._step))
        if not away:
            tries = 1 + len(_HIGHER) + len(_LOWER)
            steps = min(_STEPS, int(self._trials.affordable / tries / max(a_step, 1e-9)))
            if steps < _FEWEST_STEPS:
                return None
            if finding := self._too_low(step, steps):
                return finding
        plain = self._trials.loss(steps, 1.0)
        usual = self._plan.recipe.replace(lr=None).base_lr / self._prepared.lr
        for factor in (*_LOWER, *([usual] if usual < _LOWER[-1] else [])):
            other = self._trials.loss(steps, factor)
            if other <= min(0.8 * plain, self._initial_loss):
                return self._of_rate(step, steps, factor, plain, other)
        return None

    def _too_low(self, step: int, steps: int) -> Finding | None:
        """Whether higher rates take at least three times as much off the loss; the best of them."""
        start, plain = self._initial_loss, self._trials.loss(steps, 1.0)
        losses = {factor: self._trials.loss(steps, factor) for factor in _HIGHER}
        known = {factor: loss for factor, loss in losses.items() if math.isfinite(loss)}
        best = min(known, key=lambda factor: known[factor], default=1.0)
        if best > 1 and start - known[best] >= max(0.02 * start, 3 * (start - plain)):
            return self._of_rate(step, steps, best, plain, known[best])
        return None

    def _of_rate(self, step: int, steps: int, factor: float, plain: float, other: float) -> Finding:
        lr, high = self._prepared.lr, factor < 1
        better = lr * factor
        return make_finding(
            "LR_TOO_HIGH" if high else "LR_TOO_LOW",
            f"the learning rate {lr:g} is too {'high' if high else 'low'}: the same steps learn "
            f"at {better:g}",
            f"lr={better:g}",
            (
                Evidence(
                    f"loss {plain:.3g} after the first {steps} steps",
                    f"{other:.3g}, taken again with lr {better:g}",
                    f"same weights, same minibatches; {self._initial_loss:.3g} at the start",
                    Experiment.STEPS_AGAIN,
                ),
            ),
            ruled_out=("model and data: nothing else was changed",),
            confidence="confirmed",
            step=step,
        )

    def _look_back(self, *, running: bool) -> None:
        """Why what was learned is lost, once; the first weights are not asked then."""
        if self._looked_back or (self._asked and self._reported - set(self._given.codes)):
            return
        self._asked = self._looked_back = True
        finding = self._relapse.finding(self._step, self._a_step, running=running)
        if finding is None or finding.confidence == "suspected":
            finding = self._too_high_from_the_start() or finding
        if finding is not None:
            self._make(finding)

    def _too_high_from_the_start(self) -> Finding | None:
        """Whether the run would have kept what it lost at lower rates; no state need be kept."""
        for factor in _LOWER:
            if found := self._relapse.from_the_start(factor, self._a_step):
                steps, plain, other = found
                return self._of_rate(self._step, steps, factor, plain, other)
        return None

    def _end(self, event: RunStopped) -> None:
        if self._relapse.lost:
            self._look_back(running=False)
        if event.status == "diverged" and not self._asked:
            self._ask(event.step, away=True)
        if event.status == "diverged":
            why = Evidence("NaN or infinity", "a number", f"step {event.step}")
            fix = self._fix_of_divergence()
            self._make(make_finding("PREMATURE_NAN", event.reason, fix, (why,), step=event.step))
        if event.status != "finished":
            return
        unfinished = self._progress.unfinished(self._chance, lambda: self._faster(event))
        if unfinished is not None:
            self._make(unfinished)
        if self._rows_of("validation"):
            for finding in self._collapse():
                self._make(finding)

    def _fix_of_divergence(self) -> str:
        """A lower rate only if one was tried and learns."""
        for code in ("LR_ROSE", "LR_TOO_HIGH"):
            if code in self._reported:
                return f"the learning rate that {code} names"
        lowest = self._trials.lowest_tried
        if lowest is not None:
            tried = f"the first steps do not learn at {lowest * self._prepared.lr:g} either"
            return f"look at the module and the rows that are named: {tried}"
        return "look at the module and the rows that are named; no other learning rate was tried"

    def _rows_of(self, part: str) -> int:
        return len(self._prepared.parts[part][1]) if part in self._prepared.parts else 0

    def _faster(self, event: RunStopped) -> str:
        """A higher rate whose first steps end at least a fifth lower than the run's own, if cheap.

        All of it takes at most a tenth of the run, or 20 ms.
        """
        affordable = max(0.1 * event.seconds, 0.02) / len((1.0, *_FASTER))
        steps = min(_STEPS, int(affordable * event.step / max(event.seconds, 1e-9)))
        if steps < _FEWEST_STEPS:
            return ""
        plain = self._trials.loss(steps, 1.0)
        losses = {factor: self._trials.loss(steps, factor) for factor in _FASTER}
        best = min(losses, key=lambda factor: losses[factor])
        if not losses[best] <= 0.8 * min(plain, self._initial_loss):
            return ""
        lr = f"{self._prepared.lr * best:g}"
        return (
            f"lr={lr} (the first {steps} steps end at {losses[best]:.3g} in place of {plain:.3g})"
        )

    def _collapse(self) -> list[Finding]:
        """Whether rare classes are never said, by the confusion of the validation part."""
        inputs, targets, _ = self._prepared.parts["validation"]
        sizes = np.bincount(targets) if targets.ndim == 1 else np.ones(1)
        if sizes.max() < 5 * max(1, sizes[sizes > 0].min()):
            return []
        with seeded(self._plan.model, self._plan.recipe.seed, self._step):
            confusion = self._prepared.classifier.confusion(inputs, targets)
        return [] if confusion is None else list(collapse(confusion.double(), self._step))

    def _make(self, finding: Finding) -> None:
        if finding.code not in self._reported:
            self._reported.add(finding.code)
            details: dict[str, Any] = finding.to_dict()
            self._notify(FindingMade(finding.step, finding.code, finding.severity, details))
