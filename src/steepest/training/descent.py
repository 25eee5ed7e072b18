"""Descent: the loop over steps, intervals and epochs, which can stop and go on anywhere."""

import math
import time

from steepest.classifier import Score
from steepest.data import PreparedPart
from steepest.engine import NO_STEPS, OptimizerState, Plan, seeded
from steepest.nn import describe, shares_parts
from steepest.recipe import Recipe
from steepest.run import EpochFinished, IntervalFinished, Observer, RunStarted, RunStopped
from steepest.training.checkpoint import Checkpoint, Checkpoints, fingerprint
from steepest.training.divergence import State, infinite_buffers, locate_divergence
from steepest.training.interrupt import StopRequest
from steepest.training.preparation import Preparation
from steepest.training.schedule import FromTorch, Schedule
from steepest.training.step_budget import StepBudget
from steepest.training.weights import (
    Best,
    EpochAverage,
    averages,
    averages_in,
    first_averaged,
    load_tensors,
)

# What is measured on the training rows before the first step and after the last: at most so many
# rows, for the loss at the start; a share of the rows that the steps take, whose forward passes are
# then under 1 % of the run; and whatever costs less than these FLOPs (some 20 ms).
_INITIAL_ROWS = 4096
_SHARE_SCORED = 1 / 40
_FREE_FLOPS = 1e9
_INTERVALS_AN_EPOCH = 20
_LEAST_STEPS_BETWEEN_LOGS = 25
_SECONDS_BETWEEN_KEPT = 0.5
_LARGEST_TO_KEEP = 256 * 2**20

# (status, reason) of a run that ends.
Ending = tuple[str, str] | None


class Descent:
    """One training on its way. `step` steps are done.

    epoch, interval: sums over the steps of the epoch and of the interval of the record that are
    under way. checkpoints: None for a run without a folder.
    """

    def __init__(
        self,
        prepared: Preparation,
        schedule: Schedule,
        notify: Observer,
        stop: StopRequest,
        checkpoints: Checkpoints | None,
    ) -> None:
        self._prepared = prepared
        self._plan = prepared.plan
        self._engine = prepared.choice.engine
        self._schedule = schedule
        self._notify = notify
        self._stop = stop
        self._checkpoints = checkpoints
        self._budget = StepBudget()
        self._step = 0
        self._epoch, self._interval = NO_STEPS, NO_STEPS
        self._best, self._mean = Best(), EpochAverage(first_averaged(prepared.plan))
        self._started = time.perf_counter()
        self._from: Checkpoint | None = None
        self._total = prepared.plan.total_steps
        self._keeps_best = prepared.plan.recipe.early_stopping or checkpoints is not None
        self._data = fingerprint(prepared.plan) if checkpoints else ""
        rebuilt = checkpoints is not None and not shares_parts(prepared.plan.model)
        self._architecture = describe(prepared.plan.model) if rebuilt else None
        # What the model goes back to when it diverges: from the first step on, a state of the run.
        self._last_finite = State(0, {}, {})
        self._kept_at = -math.inf

    def restore(self, checkpoint: Checkpoint, val_losses: list[float | None]) -> None:
        """Go on from a checkpoint. val_losses: of the epochs that are done."""
        self._from = checkpoint
        self._step = checkpoint.step
        self._epoch, self._interval = checkpoint.epoch_stats, checkpoint.interval
        self._best.epoch, self._best.loss = checkpoint.best_epoch, checkpoint.best_loss
        self._best.weights = checkpoint.best
        self._mean = average_to_go_on(checkpoint, self._plan)
        self._started -= checkpoint.seconds
        for val_loss in val_losses:
            self._schedule.epoch_done(val_loss)

    def run(self) -> None:
        """Take all the steps and announce what happens; the model is current when this returns."""
        self._notify(self._run_started())
        self._last_finite = self._first_state()
        self._engine.load(self._plan, self._last_finite.optimizer, self._step)
        if self._from is None:
            self._write_checkpoint()  # from the first moment on there is something to go on from
        ending = self._stopped_before()
        try:
            while ending is None and not self._is_over():
                ending = self._take_some_steps()
                if ending is not None or self._step == self._interval_end():
                    self._finish_interval()
                if ending is not None or self._step == self._epoch_end():
                    ending = self._finish_epoch(ending)
            if self._step % self._plan.steps_per_epoch == 0 and not _cut_short(ending):
                self._write_checkpoint()  # so that the run can be given more epochs
        finally:
            self._put_last_weights(ending)
        self._notify(self._run_stopped(ending))

    def _stopped_before(self) -> Ending:
        """How the checkpoint's run ended, if early stopping ended it and has no more patience."""
        recipe, done = self._plan.recipe, self._from is not None and self._epoch.steps == 0
        if not (done and recipe.early_stopping and self._best.epoch >= 0):
            return None
        last = (self._step - 1) // self._plan.steps_per_epoch
        return _patience_over(recipe, self._best.epoch, last)

    def _first_state(self) -> State:
        """What the run begins with or goes on from, which the model holds from now on."""
        if self._from is None:
            constants = infinite_buffers(self._plan.model)
            return State.of(self._plan, self._step, {}, constants)
        load_tensors(self._plan.model, self._from.model)
        constants = infinite_buffers(self._plan.model)
        return State(self._step, self._from.model, self._from.optimizer, constants)

    def _put_last_weights(self, ending: Ending) -> None:
        """The last weights, or what the recipe asks for instead of them."""
        averaged = averages(self._engine.export())
        if ending is not None and ending[0] == "diverged":
            load_tensors(self._plan.model, self._last_finite.model)
            return
        load_tensors(self._plan.model, averaged)
        if self._plan.recipe.swa:
            with seeded(self._plan.model, self._plan.recipe.seed, self._step):
                self._mean.finish(self._plan.model, self._plan.inputs)
        if self._plan.recipe.early_stopping:
            self._best.restore(self._plan.model)

    def _is_over(self) -> bool:
        return self._step >= self._total and self._epoch.steps == 0

    def _epoch_begin(self) -> int:
        return self._step - self._epoch.steps

    def _epoch_end(self) -> int:
        return min(self._total, self._epoch_begin() + self._plan.steps_per_epoch)

    def _cut(self) -> int | None:
        """Where a run that `steps` ends within an epoch is saved, so that it can be given more.

        That is before the epoch is closed, and before an update that would gather more minibatches
        in a longer run. None if the last epoch is whole.
        """
        beyond = self._total % self._plan.steps_per_epoch
        return self._total - beyond % self._plan.recipe.accumulate if beyond else None

    def _interval_end(self) -> int:
        log_every = _log_every(self._plan)
        begin = self._step - self._interval.steps
        return min(self._epoch_end(), (begin // log_every + 1) * log_every)

    def _steps_at_once(self, end: int) -> int:
        """About 50 ms of steps, up to the interval's end, a checkpoint, or the end of an update."""
        count = self._budget.steps(end - self._step)
        due = self._checkpoints.next_step(self._step) if self._checkpoints else None
        if due is not None:
            count = min(count, due - self._step)
        count += -(self._epoch.steps + count) % self._plan.recipe.accumulate
        cut = self._cut()
        if cut is not None and self._step < cut:
            count = min(count, cut - self._step)
        return min(count, end - self._step)

    def _take_some_steps(self) -> Ending:
        """Up to the end of the interval, or for 50 ms; and a checkpoint if one is due."""
        end = self._interval_end()
        if self._step < end:
            count = self._steps_at_once(end)
            whole = end % _log_every(self._plan) == 0
            due = self._step + count == end and whole
            rates = [self._schedule.rate(i) for i in range(self._step, self._step + count)]
            stats = self._engine.advance(rates, statistics=due)
            self._budget.took(count)
            self._step += count
            self._epoch, self._interval = self._epoch + stats, self._interval + stats
            if self._plan.recipe.stop_on_nan and not math.isfinite(stats.loss_sum):
                return "diverged", self._divergence(stats.loss_sum, count)
            if self._step == self._cut():
                self._write_checkpoint()
        if self._is_gathering():  # half a gradient is not saved: first the update
            return None
        if self._stop:
            self._write_checkpoint()
            return "interrupted", f"stopped by {self._stop.by} after step {self._step}"
        if self._checkpoints is not None and self._checkpoints.is_due(self._step):
            self._write_checkpoint()
        return None

    def _is_gathering(self) -> bool:
        """Whether minibatches were taken whose update is still to come."""
        left = self._epoch.steps % self._plan.recipe.accumulate
        return left > 0 and self._epoch.steps < self._plan.steps_per_epoch

    def _finish_interval(self) -> None:
        batch = self._step - self._epoch_begin()
        epoch = self._epoch_begin() // self._plan.steps_per_epoch
        rate = self._schedule.rate(self._step - 1)
        self._notify(IntervalFinished(epoch, batch, self._step, rate, self._interval))
        self._interval = NO_STEPS

    def _finish_epoch(self, ending: Ending) -> Ending:
        """Measure, notify, and see whether the run should end now."""
        recipe, first = self._plan.recipe, self._epoch_begin()
        optimizer = self._engine.export()
        if ending is None:
            self._keep_finite(optimizer)
        with averages_in(self._plan.model, optimizer):
            done = self._epoch_finished(first)
            self._notify(done)
            if self._keeps_best and done.val_loss is not None and ending is None:
                self._best.offer(done.epoch, done.val_loss, self._plan.model)
        self._schedule.epoch_done(done.val_loss)
        if self._step == self._epoch_end():  # else it was interrupted within the epoch
            self._mean.add(done.epoch, self._plan.model)
        whole = self._epoch.steps == self._plan.steps_per_epoch
        self._epoch = NO_STEPS
        if ending is None and recipe.early_stopping and self._best.epoch >= 0:
            ending = _patience_over(recipe, self._best.epoch, done.epoch)
        if (
            ending is None
            and whole
            and self._checkpoints
            and self._checkpoints.is_due_after_epoch(done.epoch)
        ):
            self._write_checkpoint()
        return ending

    def _keep_finite(self, optimizer: OptimizerState) -> None:
        """Remember the training as it is, to find out from there what broke the numbers later.

        Now and then, so that it costs nothing, and not what is too large to keep twice.
        """
        size = sum(p.nbytes for p in self._plan.model.parameters())
        recent = time.monotonic() - self._kept_at < _SECONDS_BETWEEN_KEPT
        if recent or size > _LARGEST_TO_KEEP:
            return
        state = State.of(self._plan, self._step, optimizer, self._last_finite.constants)
        if state.is_finite:
            self._last_finite, self._kept_at = state, time.monotonic()

    def _divergence(self, loss_sum: float, count: int) -> str:
        """What happened first, found by taking the steps since the last good state again."""
        begin, rate = self._step - count, self._schedule.rate
        if broken := self._last_finite.broken:
            return (
                f"the loss became {loss_sum}: {broken[0]!r} held a NaN or an infinity before step "
                f"{self._last_finite.step + 1}; give the model finite weights"
            )
        advice = (
            f"the model has its weights of step {{}}; try a learning rate below "
            f"{rate(self._step - 1):g}"
        )
        found = None
        if not isinstance(self._schedule, FromTorch):  # which cannot tell earlier rates again
            engine = type(self._engine)()
            found = locate_divergence(
                self._plan, engine, self._last_finite, begin, self._step, rate
            )
        if found is None:
            seen = f"the loss became {loss_sum} within the {count} steps up to step {self._step}"
            return f"{seen}; {advice.format(self._last_finite.step)}"
        self._last_finite = found.before
        return f"the loss became {loss_sum}: {found.text}; {advice.format(found.before.step)}"

    def _write_checkpoint(self) -> None:
        """The training as it is now, if it has a folder and its weights are finite."""
        if self._checkpoints is None:
            return
        now = State.of(self._plan, self._step, self._engine.export(), self._last_finite.constants)
        if not now.is_finite:
            return
        self._checkpoints.write(
            Checkpoint(
                step=self._step,
                epoch_stats=self._epoch,
                interval=self._interval,
                seconds=time.perf_counter() - self._started,
                lr=self._prepared.lr,
                recipe=self._plan.recipe,
                architecture=self._architecture,
                data=self._data,
                model=now.model,
                optimizer=now.optimizer,
                best_epoch=self._best.epoch,
                best_loss=self._best.loss,
                best=self._best.weights,
                epochs_averaged=self._mean.epochs,
                mean=self._mean.means,
                scheduler=isinstance(self._schedule, FromTorch),
            )
        )

    def _run_started(self) -> RunStarted:
        plan, choice, classifier = self._plan, self._prepared.choice, self._prepared.classifier
        some = min(_INITIAL_ROWS, self._rows_scored())
        initial = self._score(self._prepared.some_training_rows(some)).loss
        return RunStarted(
            recipe=plan.recipe,
            engine=choice.engine.name,
            reason=choice.reason,
            rows=plan.rows,
            steps_per_epoch=plan.steps_per_epoch,
            total_steps=self._total,
            initial_loss=initial,
            chance_loss=classifier.objective.chance_loss(len(classifier.classes)),
            summary=self._prepared.summary,
            step=self._step,
        )

    def _rows_scored(self) -> int:
        """How many training rows are scored: all of them, where that is little beside the run."""
        taken = self._total * self._plan.batch_size
        return max(1, int(max(_SHARE_SCORED * taken, _FREE_FLOPS / self._prepared.row_flops)))

    def _score(self, part: PreparedPart) -> Score:
        """Loss and accuracy of a part; a function of seed and step also where the model draws."""
        with seeded(self._plan.model, self._plan.recipe.seed, self._step):
            return self._prepared.classifier.measure(*part)

    def _epoch_finished(self, first: int) -> EpochFinished:
        validation = self._prepared.parts.get("validation")
        score = self._score(validation) if validation else None
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
        if status != "diverged" and self._plan.recipe.early_stopping and self._best.epoch >= 0:
            best = self._best.epoch
            reason += f"; the weights are those of epoch {best}, the best on the validation part"
        parts = {
            **self._prepared.parts,
            "train": self._prepared.some_training_rows(self._rows_scored()),
        }
        scores = {name: self._score(part) for name, part in parts.items()}
        seconds = time.perf_counter() - self._started
        return RunStopped(status, reason, self._step, seconds, scores)


def average_to_go_on(checkpoint: Checkpoint, plan: Plan) -> EpochAverage:
    """The average of the checkpoint's epochs. Raises RunError where a longer run cannot use it."""
    done = (checkpoint.step - checkpoint.epoch_stats.steps) // plan.steps_per_epoch
    return EpochAverage.resumed(plan, done, checkpoint.epochs_averaged, checkpoint.mean)


def _cut_short(ending: Ending) -> bool:
    """Whether a run ended before its time, and neither by itself nor by early stopping."""
    return ending is not None and ending[0] != "finished"


def _log_every(plan: Plan) -> int:
    by_epoch = plan.steps_per_epoch // _INTERVALS_AN_EPOCH
    return plan.recipe.log_every or max(by_epoch, _LEAST_STEPS_BETWEEN_LOGS)


def _patience_over(recipe: Recipe, best: int, epoch: int) -> Ending:
    if epoch - best < recipe.patience:
        return None
    return "finished", f"the validation loss has not been lower for {recipe.patience} epochs"
