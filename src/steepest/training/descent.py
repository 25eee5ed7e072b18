"""Descent: the loop over steps, intervals and epochs, which can stop and go on anywhere.

What is true between two calls of the engine, and what the loop keeps true:

1. `_step` steps are done. `_epoch` and `_interval` are sums over those of the epoch and of the
   record's interval that are under way, so each began `.steps` steps ago. Both are 0 steps long
   where one has just ended.
2. One call of the engine crosses no mark: no end of an interval or an epoch, no due checkpoint; and
   where minibatches are gathered it ends with their update, unless the epoch ends before. How long
   the call is otherwise depends on the clock, and changes no number.
3. From `engine.load` on the model is the engine's. `engine.export` makes it current; whoever reads
   it (scores, averages, checkpoints, the last finite state) comes after an export.
4. A checkpoint is all that decides the steps after it. It is written between updates, of finite
   weights only, and the record on disk is never behind it. So a run that is resumed has the bits
   of one that was never interrupted.
5. `_last_finite` is what the model goes back to when the run diverges.

A run ends by itself (`Stopped` with status "finished"), by a request ("interrupted") or when the
loss is not finite ("diverged"). Whichever it is, the interval and the epoch under way are closed
and told before the end is.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any

from steepest.engine import NO_STEPS, Engine, OptimizerState, Plan, StepStats, seeded
from steepest.nn import describe, shares_parts
from steepest.run import EpochFinished, IntervalFinished, Observer, RunStarted, RunStopped
from steepest.training.checkpoint import Checkpoint, Checkpoints, fingerprint
from steepest.training.deciding import cost_of, told_beside
from steepest.training.divergence import LastFinite, State, infinite_buffers
from steepest.training.interrupt import StopRequest
from steepest.training.preparation import Preparation
from steepest.training.schedule import Schedule, TorchSchedule
from steepest.training.scoring import Scoring, ScoringHeldOut
from steepest.training.step_budget import StepBudget, WholeIntervals
from steepest.training.stopped import Stopped, diverged_within, patience_over
from steepest.training.timetable import Timetable
from steepest.training.weights import (
    Best,
    EpochAverage,
    averages,
    averages_in,
    first_averaged,
    load_tensors,
)

if TYPE_CHECKING:
    from steepest.classifier import Score

# One call of the engine, where nobody looks on: some tenths of a second.
_FLOPS_A_CALL = 1e9


class Descent:
    """One training on its way; see the top of this module.

    Args:
        prepared: The plan, its engine, and the parts to score.
        schedule: The learning rate of each step.
        notify: Called with each event.
        stop: True once somebody has asked to stop.
        checkpoints: None for a run without a folder.
        one_of_many: Whether it is a run of a sweep, where what stands around the steps is dearer
            than they are. No layers, intervals or training rows are measured then, and a divergence
            is told but not explained; its steps and its scores have the bits of any other run.
    """

    def __init__(
        self,
        prepared: Preparation,
        schedule: Schedule,
        notify: Observer,
        stop: StopRequest,
        checkpoints: Checkpoints | None,
        *,
        one_of_many: bool = False,
    ) -> None:
        # What does not change.
        self._prepared = prepared
        self._plan: Plan = prepared.plan
        self._engine: Engine = prepared.choice.engine
        self._schedule = schedule
        self._notify = notify
        self._stop = stop
        self._checkpoints = checkpoints
        self._times = Timetable.of(prepared.plan)
        self._scoring: Scoring = Scoring(prepared)
        self._budget: StepBudget | WholeIntervals = StepBudget()
        self._one_of_many = one_of_many
        if one_of_many:
            self._scoring = ScoringHeldOut(prepared)
            # Calls whose ends do not depend on the clock, so that a divergence is told alike.
            self._budget = WholeIntervals()
            flops = max(1.0, 3 * prepared.row_flops * prepared.plan.batch_size)
            self._times = self._times.with_long_intervals(int(_FLOPS_A_CALL / flops))
        self._keeps_best = prepared.plan.recipe.early_stopping or checkpoints is not None
        self._data: str = fingerprint(prepared.parts["train"]) if checkpoints else ""
        rebuilt = checkpoints is not None and not shares_parts(prepared.plan.model)
        self._architecture: dict[str, Any] | None = (
            describe(prepared.plan.model) if rebuilt else None
        )
        # What a checkpoint holds, beside the model and the optimizer's state.
        self._step: int = 0
        self._epoch: StepStats = NO_STEPS
        self._interval: StepStats = NO_STEPS
        self._best = Best()
        self._average = EpochAverage(first_averaged(prepared.plan))
        self._started: float = time.perf_counter()  # less the seconds that are in a checkpoint
        # What it does not hold.
        self._resumed_from: Checkpoint | None = None
        self._last_finite = LastFinite(prepared.plan)
        self._stopped: Stopped | None = None
        self._latest: Score | None = None  # of the validation part, after the last epoch

    def restore(self, checkpoint: Checkpoint, val_losses: Sequence[float | None]) -> None:
        """Go on from a checkpoint. val_losses: of the epochs that are done."""
        self._resumed_from = checkpoint
        self._step = checkpoint.step
        self._epoch, self._interval = checkpoint.epoch_stats, checkpoint.interval
        self._best.epoch, self._best.loss = checkpoint.best_epoch, checkpoint.best_loss
        self._best.cost = checkpoint.best_cost
        self._best.weights = checkpoint.best
        self._average = average_to_go_on(checkpoint, self._plan)
        self._started -= checkpoint.seconds
        for val_loss in val_losses:
            self._schedule.epoch_done(val_loss)

    def run(self) -> None:
        """Take all the steps and tell what happens; the model is current when this returns."""
        self.begin()
        try:
            self.go_on()
            early = self._stopped is not None and self._stopped.is_early
            if self._step % self._plan.steps_per_epoch == 0 and not early:
                self._write_checkpoint()  # so that the run can be given more epochs
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell
                self._put_last_weights()
            raise
        self.finish()

    def begin(self) -> None:
        """Tell of the run, and give its model to the engine."""
        self._notify(self._run_started())
        begun = self._first_state()
        self._last_finite.begin(begun)
        self._engine.load(self._plan, begun.optimizer, self._step)
        if self._resumed_from is None:
            self._write_checkpoint()  # from the first moment on there is something to go on from
        self._stopped = self._stopped_before()

    def go_on(self, epochs: int | None = None) -> bool:
        """Take the steps up to the end, or until so many epochs are done; whether it has ended."""
        pause = self._times.total if epochs is None else epochs * self._plan.steps_per_epoch
        while self._stopped is None and not self._is_over:
            if self._step >= pause and self._epoch.steps == 0:
                return False
            self._stopped = self._advance() or self._asked_to_stop()
            if self._stopped or self._step == self._interval_end:
                self._finish_interval()
            if self._stopped or self._step == self._epoch_end:
                self._stopped = self._finish_epoch(self._stopped)
        return True

    def finish(self, stopped: Stopped | None = None) -> None:
        """Make the model current, measure it, and tell of the end.

        stopped: why a run ends that paused between two epochs.
        """
        self._stopped = self._stopped or stopped
        self._put_last_weights()
        self._notify(self._run_stopped())

    def _advance(self) -> Stopped | None:
        """One call of the engine: steps up to a mark, or for about 50 ms."""
        begin, end = self._step, self._interval_end
        if begin == end:  # an epoch that was resumed at its end
            return None
        due = self._checkpoints.next_step(begin) if self._checkpoints else None
        wanted = self._budget.steps(end - begin)
        count = self._times.steps_at_once(begin, self._epoch.steps, end, wanted, due)
        # Statistics cost a pass over the weights: for the last step before a row of the record.
        logged = begin + count == end and end % self._times.log_every == 0
        statistics = logged and not self._one_of_many
        rates = [self._schedule.rate(step) for step in range(begin, begin + count)]
        stats = self._engine.advance(rates, statistics=statistics)
        self._budget.took(count)
        self._step += count
        self._epoch, self._interval = self._epoch + stats, self._interval + stats
        if self._plan.recipe.stop_on_nan and not isfinite(stats.loss_sum):
            if self._one_of_many:
                return diverged_within(begin, self._step, stats.loss_sum)
            again = type(self._engine)()
            reason = self._last_finite.explain(
                again, begin, self._step, stats.loss_sum, self._schedule
            )
            return Stopped("diverged", reason)
        if self._step == self._times.cut:
            self._write_checkpoint()
        return None

    def _asked_to_stop(self) -> Stopped | None:
        """Whether somebody has, and a checkpoint if one is due or the run stops."""
        if self._times.is_gathering(self._epoch.steps):
            return None  # half a gradient is not saved: first the update
        if self._stop:
            self._write_checkpoint()
            reason = f"stopped by {self._stop.by} after step {self._step}"
            return Stopped("interrupted", reason)
        limit = self._plan.recipe.time_limit
        if limit is not None and self._seconds > limit and self._step < self._times.total:
            self._write_checkpoint()
            reason = f"the time limit of {limit:g} s was over after step {self._step}"
            return Stopped("finished", reason)
        if self._checkpoints is not None and self._checkpoints.is_due(self._step):
            self._write_checkpoint()
        return None

    def _finish_interval(self) -> None:
        """Tell of the interval that ends here."""
        if self._one_of_many:
            self._interval = NO_STEPS
            return
        epoch, batch = self._epoch_begin // self._plan.steps_per_epoch, self._epoch.steps
        rate = self._schedule.rate(self._step - 1)
        self._notify(IntervalFinished(epoch, batch, self._step, rate, self._interval))
        self._interval = NO_STEPS

    def _finish_epoch(self, stopped: Stopped | None) -> Stopped | None:
        """Measure and tell, and see whether the run should end now."""
        recipe, model = self._plan.recipe, self._plan.model
        optimizer = self._export()
        if stopped is None and not self._one_of_many:
            self._last_finite.offer(self._step, optimizer)
        with averages_in(model, optimizer):
            self._latest = self._scoring.validation(self._step)
            metric = self._scoring.metric(self._step, self._latest)
            done = self._epoch_finished(told_beside(recipe.best_by, metric))
            self._notify(done)
            if self._keeps_best and stopped is None and metric is not None and self._latest:
                cost = cost_of(recipe.best_by, metric)
                self._best.offer(done.epoch, cost, self._latest.loss, model)
        self._schedule.epoch_done(done.val_loss)
        if self._step == self._epoch_end:  # else it was interrupted within the epoch
            self._average.add(done.epoch, model)
        whole = self._epoch.steps == self._plan.steps_per_epoch
        self._epoch = NO_STEPS
        if stopped is None and recipe.early_stopping and self._best.epoch >= 0:
            stopped = patience_over(recipe, self._best.epoch, done.epoch)
        due = self._checkpoints is not None and self._checkpoints.is_due_after_epoch(done.epoch)
        if stopped is None and whole and due:
            self._write_checkpoint()
        return stopped

    # Where the run is.

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def _is_over(self) -> bool:
        return self._step >= self._times.total and self._epoch.steps == 0

    @property
    def _epoch_begin(self) -> int:
        return self._step - self._epoch.steps

    @property
    def _epoch_end(self) -> int:
        return self._times.epoch_end(self._epoch_begin)

    @property
    def _interval_end(self) -> int:
        begin = self._step - self._interval.steps
        return self._times.interval_end(begin, self._epoch_begin)

    # How it begins and ends.

    def _first_state(self) -> State:
        """What the run begins with or goes on from, which the model holds from now on."""
        model, source = self._plan.model, self._resumed_from
        if source is None:
            return State.of(self._plan, self._step, {}, infinite_buffers(model))
        load_tensors(model, source.model)
        return State(self._step, source.model, source.optimizer, infinite_buffers(model))

    def _stopped_before(self) -> Stopped | None:
        """How the checkpoint's run ended, if early stopping ended it and has no more patience."""
        recipe = self._plan.recipe
        done = self._resumed_from is not None and self._epoch.steps == 0
        if not (done and recipe.early_stopping and self._best.epoch >= 0):
            return None
        last = (self._step - 1) // self._plan.steps_per_epoch
        return patience_over(recipe, self._best.epoch, last)

    def _export(self) -> OptimizerState:
        """Make the model current; what the optimizer keeps, where anybody asks for it."""
        if self._one_of_many and not self._plan.recipe.ema:
            self._engine.update_model()
            return {}
        return self._engine.export()

    def _put_last_weights(self) -> None:
        """The last weights, or what the recipe asks for instead of them."""
        averaged = averages(self._export())
        if self._stopped is not None and self._stopped.status == "diverged":
            self._latest = None
            load_tensors(self._plan.model, self._last_finite.state.model)
            return
        load_tensors(self._plan.model, averaged)
        if self._plan.recipe.swa or self._plan.recipe.early_stopping:
            self._latest = None  # measured at other weights
        if self._plan.recipe.swa:
            with seeded(self._plan.model, self._plan.recipe.seed, self._step):
                self._average.finish(self._plan.model, self._plan.inputs)
        if self._plan.recipe.early_stopping:
            self._best.restore(self._plan.model)

    # What is written and told.

    def _write_checkpoint(self) -> None:
        """The training as it is now, if it has a folder and its weights are finite."""
        if self._checkpoints is None:
            return
        constants = self._last_finite.state.constants
        now = State.of(self._plan, self._step, self._engine.export(), constants)
        if not now.is_finite:
            return
        self._checkpoints.write(
            Checkpoint(
                step=self._step,
                epoch_stats=self._epoch,
                interval=self._interval,
                seconds=self._seconds,
                lr=self._prepared.lr,
                recipe=self._plan.recipe,
                architecture=self._architecture,
                data=self._data,
                model=now.model,
                optimizer=now.optimizer,
                best_epoch=self._best.epoch,
                best_loss=self._best.loss,
                best_cost=self._best.cost,
                best=self._best.weights,
                epochs_averaged=self._average.epochs,
                mean=self._average.means,
                scheduler=isinstance(self._schedule, TorchSchedule),
            )
        )

    def _run_started(self) -> RunStarted:
        loss = self._scoring.initial_loss(self._step)
        return run_started(self._prepared, self._times.total, loss, self._step)

    def _epoch_finished(self, metrics: dict[str, float]) -> EpochFinished:
        score = self._latest
        return EpochFinished(
            epoch=self._epoch_begin // self._plan.steps_per_epoch,
            step=self._step,
            train_loss=self._epoch.loss,
            train_acc=self._epoch.accuracy,
            val_loss=score.loss if score else None,
            val_acc=score.accuracy if score else None,
            lr=self._schedule.rate(self._step - 1),
            seconds=self._seconds,
            metrics=metrics,
        )

    def _run_stopped(self) -> RunStopped:
        end = self._stopped or Stopped("finished", f"all {self._times.total} steps were taken")
        reason = end.told(self._plan.recipe, self._best.epoch)
        scores = self._scoring.final(self._step, self._latest)
        return RunStopped(end.status, reason, self._step, self._seconds, scores)


def average_to_go_on(checkpoint: Checkpoint, plan: Plan) -> EpochAverage:
    """The average of the checkpoint's epochs. Raises RunError where a longer run cannot use it."""
    done = (checkpoint.step - checkpoint.epoch_stats.steps) // plan.steps_per_epoch
    return EpochAverage.resumed(plan, done, checkpoint.epochs_averaged, checkpoint.mean)


def run_started(
    prepared: Preparation, total_steps: int, initial_loss: float, step: int = 0
) -> RunStarted:
    """What is told of a run before the step after `step`."""
    plan, choice, classifier = prepared.plan, prepared.choice, prepared.classifier
    return RunStarted(
        recipe=plan.recipe,
        engine=choice.engine.name,
        reason=choice.reason,
        rows=plan.rows,
        steps_per_epoch=plan.steps_per_epoch,
        total_steps=total_steps,
        initial_loss=initial_loss,
        chance_loss=classifier.objective.chance_loss(len(classifier.classes)),
        summary=prepared.summary,
        step=step,
    )
