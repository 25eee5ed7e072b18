"""Descent: the loop over steps, intervals and epochs, which can stop and go on anywhere."""

import math
import time

from steepest.engine import NO_STEPS, Plan
from steepest.nn import describe
from steepest.recipe import Recipe
from steepest.run import EpochFinished, IntervalFinished, Observer, RunStarted, RunStopped
from steepest.training.checkpoint import Checkpoint, Checkpoints, fingerprint
from steepest.training.interrupt import StopRequest
from steepest.training.pace import Pace
from steepest.training.preparation import Preparation
from steepest.training.schedule import FromTorch, Schedule
from steepest.training.weights import Best, EpochAverage, averages, averages_in, put, snapshot

_INITIAL_ROWS = 4096
_INTERVALS_AN_EPOCH = 20
_LEAST_STEPS_BETWEEN_LOGS = 25

# (status, reason) of a run that ends.
Ending = tuple[str, str] | None


class Descent:
    """One training on its way. `step` steps are done.

    epoch, interval: sums over the steps of the epoch and of the interval of the record that are
    under way. checkpoints: None for a run without a folder.
    """

    def __init__(
        self,
        ready: Preparation,
        schedule: Schedule,
        tell: Observer,
        stop: StopRequest,
        checkpoints: Checkpoints | None,
    ) -> None:
        self._ready = ready
        self._plan = ready.plan
        self._engine = ready.choice.engine
        self._schedule = schedule
        self._tell = tell
        self._stop = stop
        self._checkpoints = checkpoints
        self._pace = Pace()
        self._step = 0
        self._epoch, self._interval = NO_STEPS, NO_STEPS
        self._best, self._mean = Best(), EpochAverage()
        self._started = time.perf_counter()
        self._from: Checkpoint | None = None
        self._total = total_steps(ready.plan)

    def restore(self, checkpoint: Checkpoint, val_losses: list[float | None]) -> None:
        """Go on from a checkpoint. val_losses: of the epochs that are done."""
        self._from = checkpoint
        self._step = checkpoint.step
        self._epoch, self._interval = checkpoint.epoch_stats, checkpoint.interval
        self._best.epoch, self._best.loss = checkpoint.best_epoch, checkpoint.best_loss
        self._best.weights = checkpoint.best
        self._mean.epochs, self._mean.means = checkpoint.epochs_averaged, checkpoint.mean
        self._started -= checkpoint.seconds
        for val_loss in val_losses:
            self._schedule.epoch_done(val_loss)

    def run(self) -> None:
        """Take all the steps and tell what happens; the model is current when this returns."""
        self._tell(self._run_started())
        if self._from is not None:
            put(self._plan.model, self._from.model)
        optimiser = None if self._from is None else self._from.optimiser
        self._engine.load(self._plan, optimiser, self._step)
        ending: Ending = None
        try:
            while ending is None and not self._is_over():
                ending = self._take_some_steps()
                if ending is not None or self._step == self._interval_end():
                    self._finish_interval()
                if ending is not None or self._step == self._epoch_end():
                    ending = self._finish_epoch(ending)
            if ending is None or ending[0] == "finished":
                self._write_checkpoint()  # so that the run can be given more epochs
        finally:
            put(self._plan.model, averages(self._engine.export()))
            if self._plan.recipe.swa:
                self._mean.finish(self._plan.model, self._plan.inputs)
            self._best.restore(self._plan.model)
        self._tell(self._run_stopped(ending))

    def _is_over(self) -> bool:
        return self._step >= self._total and self._epoch.steps == 0

    def _epoch_begin(self) -> int:
        return self._step - self._epoch.steps

    def _epoch_end(self) -> int:
        return min(self._total, self._epoch_begin() + self._plan.steps_per_epoch)

    def _interval_end(self) -> int:
        log_every = _log_every(self._plan)
        begin = self._step - self._interval.steps
        return min(self._epoch_end(), (begin // log_every + 1) * log_every)

    def _take_some_steps(self) -> Ending:
        """Up to the end of the interval, or for 50 ms; and a checkpoint if one is due."""
        end = self._interval_end()
        if self._step < end:
            count = self._pace.steps(end - self._step)
            whole = end % _log_every(self._plan) == 0
            due = self._step + count == end and whole
            rates = [self._schedule.rate(i) for i in range(self._step, self._step + count)]
            stats = self._engine.advance(rates, statistics=due)
            self._pace.took(count)
            self._step += count
            self._epoch, self._interval = self._epoch + stats, self._interval + stats
            if not math.isfinite(stats.loss_sum):
                return "diverged", _divergence(stats.loss_sum, count, self._step, rates[-1])
        if self._stop:
            self._write_checkpoint()
            return "interrupted", f"stopped by {self._stop.by} after step {self._step}"
        if self._checkpoints is not None and self._checkpoints.due():
            self._write_checkpoint()
        return None

    def _finish_interval(self) -> None:
        i = self._step - self._epoch_begin()
        epoch = self._epoch_begin() // self._plan.steps_per_epoch
        rate = self._schedule.rate(self._step - 1)
        self._tell(IntervalFinished(epoch, i, self._step, rate, self._interval))
        self._interval = NO_STEPS

    def _finish_epoch(self, ending: Ending) -> Ending:
        """Measure, tell, and see whether the run should end now."""
        recipe, first = self._plan.recipe, self._epoch_begin()
        with averages_in(self._plan.model, self._engine.export()):
            done = self._epoch_finished(first)
            self._tell(done)
            if recipe.early_stopping and done.val_loss is not None and ending is None:
                self._best.offer(done.epoch, done.val_loss, self._plan.model)
        self._schedule.epoch_done(done.val_loss)
        if self._step >= (1 - recipe.swa) * self._total:
            self._mean.add(self._plan.model)
        self._epoch = NO_STEPS
        if ending is None and self._best.epoch >= 0:
            return _patience_over(recipe, self._best.epoch, done.epoch)
        return ending

    def _write_checkpoint(self) -> None:
        """The training as it is now, if it has a folder and no gradient is half gathered."""
        gathering = self._epoch.steps % self._plan.recipe.accumulate
        if self._checkpoints is None or (gathering and self._step < self._epoch_end()):
            return
        optimiser = self._engine.export()
        self._checkpoints.write(
            Checkpoint(
                step=self._step,
                epoch_stats=self._epoch,
                interval=self._interval,
                seconds=time.perf_counter() - self._started,
                lr=self._ready.lr,
                recipe=self._plan.recipe,
                architecture=describe(self._plan.model),
                data=fingerprint(self._plan),
                model=snapshot(self._plan.model),
                optimiser=optimiser,
                best_epoch=self._best.epoch,
                best_loss=self._best.loss,
                best=self._best.weights,
                epochs_averaged=self._mean.epochs,
                mean=self._mean.means,
                scheduler=isinstance(self._schedule, FromTorch),
            )
        )

    def _run_started(self) -> RunStarted:
        plan, choice, classifier = self._plan, self._ready.choice, self._ready.classifier
        initial = classifier.score(*self._ready.some_training_rows(_INITIAL_ROWS)).loss
        return RunStarted(
            recipe=plan.recipe,
            engine=choice.engine.name,
            reason=choice.reason,
            rows=plan.rows,
            steps_per_epoch=plan.steps_per_epoch,
            total_steps=self._total,
            initial_loss=initial,
            chance_loss=classifier.objective.chance_loss(len(classifier.classes)),
            summary=self._ready.summary,
            step=self._step,
        )

    def _epoch_finished(self, first: int) -> EpochFinished:
        validation = self._ready.parts.get("validation")
        score = self._ready.classifier.score(*validation) if validation else None
        return EpochFinished(
            epoch=first // self._plan.steps_per_epoch,
            step=self._step,
            train_loss=self._epoch.loss,
            train_acc=self._epoch.accuracy,
            val_loss=score.loss if score else None,
            val_acc=score.accuracy if score else None,
            lr=self._schedule.rate(self._step - 1),
            seconds=time.perf_counter() - self._started,
        )

    def _run_stopped(self, ending: Ending) -> RunStopped:
        status, reason = ending or ("finished", f"all {self._total} steps were taken")
        if self._best.epoch >= 0:
            best = self._best.epoch
            reason += f"; the weights are those of epoch {best}, the best on the validation part"
        parts = self._ready.parts.items()
        scores = {name: self._ready.classifier.score(*part) for name, part in parts}
        seconds = time.perf_counter() - self._started
        return RunStopped(status, reason, self._step, seconds, scores)


def total_steps(plan: Plan) -> int:
    all_epochs = plan.recipe.epochs * plan.steps_per_epoch
    return all_epochs if plan.recipe.steps is None else min(all_epochs, plan.recipe.steps)


def _log_every(plan: Plan) -> int:
    by_epoch = plan.steps_per_epoch // _INTERVALS_AN_EPOCH
    return plan.recipe.log_every or max(by_epoch, _LEAST_STEPS_BETWEEN_LOGS)


def _patience_over(recipe: Recipe, best: int, epoch: int) -> Ending:
    if epoch - best < recipe.patience:
        return None
    return "finished", f"the validation loss has not been lower for {recipe.patience} epochs"


def _divergence(loss_sum: float, steps: int, step: int, lr: float) -> str:
    return (
        f"the loss became {loss_sum} within the {steps} steps up to step {step}; the first thing "
        f"to try is a learning rate below {lr:g}"
    )
