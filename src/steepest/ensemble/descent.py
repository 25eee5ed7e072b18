"""EnsembleDescent: many nets at once, an epoch of all before the next of any."""

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from steepest.classifier import Classifier, Score
from steepest.engine import NO_STEPS, NativeEngine, process_state, statistics_from
from steepest.ensemble.checkpoint import (
    EnsembleCheckpoint,
    group_of,
    optimizer_of,
    taken,
)
from steepest.ensemble.health import MemberHealth
from steepest.ensemble.member_run import MemberRun
from steepest.ensemble.portfolio import Portfolio
from steepest.ensemble.result import Combination, combined
from steepest.health import Findings
from steepest.processors import usable_threads
from steepest.run import (
    EpochFinished,
    IntervalFinished,
    Observer,
    RunStarted,
    RunStopped,
)
from steepest.training.checkpoint import Checkpoints, fingerprint
from steepest.training.deciding import told_beside
from steepest.training.interrupt import StopRequest

# Rows that are measured before the first step and, of the training part, after the last one.
_ROWS_AT_FIRST, _ROWS_SCORED = 512, 4096
# Of a time limit so much is kept for what comes after the last step, and for an epoch's spread.
_KEPT, _LEAST_KEPT = 0.05, 0.05


class EnsembleDescent:
    """The training of an ensemble on its way; `epoch` epochs are done.

    Args:
        checkpoints: None for a run without a folder.
        started: When the run began, by time.perf_counter().
        findings: Of the check before training, by the net that was checked.
    """

    def __init__(
        self,
        portfolio: Portfolio,
        notify: Observer,
        stop: StopRequest,
        checkpoints: Checkpoints | None,
        started: float,
        findings: dict[int, Findings],
    ) -> None:
        self._portfolio, self._recipe = portfolio, portfolio.recipe
        self._notify, self._stop, self._checkpoints = notify, stop, checkpoints
        epochs = portfolio.recipe.epochs
        self.runs = [MemberRun(portfolio, m, epochs) for m in portfolio.members]
        self._epoch, self._epochs = 0, epochs
        self._started, self._from = started, 0
        self._health = MemberHealth(portfolio, findings, notify)
        self._data = fingerprint(portfolio.train) if checkpoints else ""
        limit = portfolio.recipe.time_limit
        self._limit = math.inf if limit is None else limit
        self._measured = limit is None

    def restore(self, checkpoint: EnsembleCheckpoint) -> None:
        """Go on from a checkpoint."""
        self._epoch, self._from = checkpoint.epoch, checkpoint.step
        self._epochs = checkpoint.epochs
        self._measured = self._measured or checkpoint.epoch > 0
        self._started -= checkpoint.seconds
        for k, (run, kept) in enumerate(zip(self.runs, checkpoint.members, strict=True)):
            run.restore(group_of(checkpoint, k, "model"), group_of(checkpoint, k, "best"))
            run.step, run.epoch = kept.step, kept.epoch_stats
            run.best.epoch, run.best.loss = kept.best_epoch, kept.best_loss
            run.best.cost = kept.best_cost
            run.latest, run.metric, run.diverged = kept.latest, kept.metric, kept.diverged
            run.lengthen(self._epochs)
            run.begin(optimizer_of(checkpoint, k))

    @property
    def seconds(self) -> float:
        """Since training began, without the time between a stop and its resumption."""
        return time.perf_counter() - self._started

    @property
    def step(self) -> int:
        """Steps that the nets have done together."""
        return sum(run.step for run in self.runs)

    def run(self) -> Classifier:
        """Train all nets and put them together."""
        started = self._run_started()
        self._notify(started)
        if self._recipe.watch:
            self._health.begin(started, self.runs)
        if not self._from:
            for run in self.runs:
                run.begin()
            self._write_checkpoint()  # from the first moment on there is something to go on from
        while not self._is_over():
            if not self._take_epoch():
                break
            self._finish_epoch()
        ending = self._ending()
        self._write_checkpoint()
        for k, run in enumerate(self.runs):
            if not run.finish() or run.diverged:
                self._health.diverged(k, run.step, self._recipe.base_lr)
        self._health.end()
        combination = combined(self._portfolio, self.runs)
        self._notify(self._run_stopped(*ending, combination))
        return combination.classifier

    def _is_over(self) -> bool:
        return all(run.is_over for run in self.runs)

    def _must_end(self) -> bool:
        """Whether the user or the time limit ends the training, looked at between some steps."""
        kept = max(_LEAST_KEPT, _KEPT * self._limit)
        return bool(self._stop) or self.seconds > self._limit - kept

    def _take_epoch(self) -> bool:
        """An epoch of every net that has one left; False if something ended it before."""
        begun = time.perf_counter()
        due = [run for run in self.runs if not run.is_over and run.step < self._end_of(run)]
        done = self._all(run.take_epoch for run in due)
        if all(done) and not self._measured:
            self._plan_by_time(time.perf_counter() - begun)
        return all(done)

    def _end_of(self, run: MemberRun) -> int:
        return (self._epoch + 1) * run.plan.steps_per_epoch

    def _all(self, epochs: Iterable[Callable[[Callable[[], bool]], bool]]) -> list[bool]:
        """All of them, several at once where the native engine runs them; the same bits either way.

        torch has its number of threads once for the process: one, so that the nets are measured
        alike however many are trained at once.
        """
        native = all(isinstance(run.member.choice.engine, NativeEngine) for run in self.runs)
        workers = (self._recipe.threads or usable_threads()) if native else 1
        if not native:
            return [take(self._must_end) for take in epochs]
        with process_state(generators=False, threads=1), ThreadPoolExecutor(workers) as pool:
            return list(pool.map(lambda take: take(self._must_end), epochs))

    def _plan_by_time(self, seconds: float) -> None:
        """After the first epoch: as many as fit into the time limit."""
        self._measured = True
        left = self._limit * (1 - _KEPT) - _LEAST_KEPT - self.seconds
        fit = 1 + max(0, int(0.9 * left / max(seconds, 1e-9)))
        if fit < self._epochs:
            self._epochs = fit
            for run in self.runs:
                run.lengthen(fit)

    def _finish_epoch(self) -> None:
        """Tell of the epoch, and write a checkpoint if one is due."""
        whole = [run for run in self.runs if run.epoch.steps and not run.diverged]
        sums = sum((run.epoch for run in whole), NO_STEPS)
        if whole:
            score = _mean([run.latest for run in whole if run.latest is not None])
            rate = whole[0].rate
            per_epoch = sum(run.plan.steps_per_epoch for run in self.runs)
            layers = tuple((k, r.epoch.layers) for k, r in enumerate(self.runs) if r in whole)
            of_none = replace(sums, layers=())
            self._notify(IntervalFinished(self._epoch, per_epoch, self.step, rate, of_none, layers))
            self._notify(
                EpochFinished(
                    epoch=self._epoch,
                    step=self.step,
                    train_loss=sums.loss,
                    train_acc=sums.accuracy,
                    val_loss=score.loss,
                    val_acc=score.accuracy,
                    lr=rate,
                    seconds=self.seconds,
                    metrics=told_beside(self._recipe.best_by, _mean_metric(whole)),
                )
            )
        if self._recipe.watch:
            self._health.epoch(self._epoch, self.runs)
        for run in self.runs:
            run.close_epoch()
        self._epoch += 1
        checkpoints = self._checkpoints
        if checkpoints and (
            checkpoints.is_due(self.step) or checkpoints.is_due_after_epoch(self._epoch - 1)
        ):
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        if self._checkpoints is not None:
            now = taken(self._portfolio, self.runs, self._data, self._epoch, self.seconds)
            self._checkpoints.put(now.step, now.tensors, now.about())

    def _ending(self) -> tuple[str, str]:
        if self._stop:
            return "interrupted", f"stopped by {self._stop.by} after {self._epoch} epochs"
        if all(run.diverged for run in self.runs):
            return "diverged", "the loss of every net became NaN or infinite"
        if not all(run.is_over for run in self.runs) or self._epochs < self._recipe.epochs:
            limit = f"the time limit of {self._limit:g} s"
            return "finished", f"{self._epoch} of {self._recipe.epochs} epochs fitted into {limit}"
        early = sum(run.step < self._epochs * run.plan.steps_per_epoch for run in self.runs)
        if early:
            return "finished", f"{self._epoch} epochs were taken; {early} nets got no better before"
        return "finished", f"all {self._epochs} epochs were taken"

    def _run_started(self) -> RunStarted:
        portfolio = self._portfolio
        choice = portfolio.members[0].choice
        classifier = portfolio.classifier()
        first = portfolio.some_rows(_ROWS_AT_FIRST)
        per_epoch = sum(run.plan.steps_per_epoch for run in self.runs)
        with statistics_from(classifier.model, first.inputs):
            loss = classifier.measure(*first).loss
        return RunStarted(
            recipe=self._recipe,
            engine=choice.engine.name,
            reason=choice.reason,
            rows=len(portfolio.targets),
            steps_per_epoch=per_epoch,
            total_steps=per_epoch * self._epochs,
            initial_loss=loss,
            chance_loss=portfolio.objective.chance_loss(len(portfolio.classes)),
            summary=portfolio.summary,
            step=self._from,
        )

    def _run_stopped(self, status: str, reason: str, combination: Combination) -> RunStopped:
        portfolio = self._portfolio
        train = portfolio.some_rows(_ROWS_SCORED)
        scores = {"train": combination.classifier.measure(*train)}
        # Of each row by the nets that have not seen it, unless rows were kept apart for this.
        scores["validation"] = combination.held_out
        for name, part in portfolio.parts.items():
            scores[name] = combination.classifier.measure(*part)
        told = f"{reason}; {combination.text}"
        return RunStopped(status, told, self.step, self.seconds, scores)


def _mean_metric(runs: list[MemberRun]) -> float | None:
    """What best_by names, of the nets' held-out rows together as `_mean` has their loss."""
    known = [
        (run.latest.rows, run.metric)
        for run in runs
        if run.latest is not None and run.metric is not None
    ]
    rows = sum(count for count, _ in known)
    return sum(count * metric for count, metric in known) / rows if rows else None


def _mean(scores: list[Score]) -> Score:
    """The score of all their rows together."""
    rows = sum(score.rows for score in scores)
    return Score(
        rows,
        sum(score.loss * score.rows for score in scores) / rows,
        sum(score.accuracy * score.rows for score in scores) / rows,
    )
