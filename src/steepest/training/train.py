"""train(): the loop over epochs, on one screen, and what stands around it."""

import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from steepest.classifier import save_classifier
from steepest.engine import NO_STEPS, Plan, StepStats
from steepest.errors import RecipeError, RunError
from steepest.files import is_empty_folder, make_run_folder, require_space
from steepest.recipe import Recipe
from steepest.run import (
    RECORD,
    EpochFinished,
    Event,
    IntervalFinished,
    Observer,
    Record,
    Run,
    RunStarted,
    RunStopped,
    begin_run_folder,
)
from steepest.training.interrupt import StopRequest, stop_request
from steepest.training.pace import Pace
from steepest.training.preparation import Preparation, prepare
from steepest.training.progress import check_progress, shown_progress
from steepest.training.schedule import FromTorch, Schedule, TorchScheduler, make_schedule
from steepest.training.weights import Best, EpochAverage, averages, averages_in, put

_INITIAL_ROWS = 4096
_INTERVALS_AN_EPOCH = 20
_LEAST_STEPS_BETWEEN_LOGS = 25
_ROOM_FOR_THE_RECORD = 8 * 2**20


def train(
    model: nn.Module | None = None,
    data: Any = None,
    recipe: Recipe | None = None,
    *,
    out: str | Path | None = None,
    progress: str = "auto",
    observers: Sequence[Observer] = (),
    scheduler: TorchScheduler | None = None,
    scheduler_every: str = "epoch",
    **settings: Any,
) -> Run:
    """Train a classifier by gradient descent and give back the run.

    model: any torch.nn.Module that maps a batch (N, ...) to logits, (N, C), or (N, 1) for two
    classes; trained in place. None builds a multilayer perceptron from the recipe. data: anything
    `load` takes. recipe: every setting; `settings` change single ones: train(..., lr=0.5).
    out: a new folder for the run; None keeps it in memory until `run.save`. progress: "bar",
    "epochs" (a line each), "steps" (a line each `log_every` steps), "none", or "auto": a bar on a
    terminal, else lines. observers: called with each event; they cannot change the run's numbers.
    scheduler: makes a scheduler of torch.optim.lr_scheduler from an optimizer, instead of the
    recipe's schedule: lambda optimizer: StepLR(optimizer, 3). It takes a step after each epoch or,
    with scheduler_every="step", after each step.

    The model ends with its last weights, with their average if the recipe has ema or swa, and with
    those of the epoch of the lowest validation loss if it has early_stopping.

    Ctrl-C ends the training after the current step; the run is given back as it is then, with
    `run.status == "interrupted"`. Raises a SteepestError before any work if something does not fit.
    """
    recipe = (recipe or Recipe()).replace(**settings)
    check_progress(progress)
    if scheduler_every not in ("epoch", "step"):
        raise RecipeError(f"scheduler_every must be 'epoch' or 'step', but is {scheduler_every!r}")
    folder = None if out is None else Path(out)
    if folder is not None:
        make_run_folder(folder)
    try:
        ready = prepare(model, data, recipe)
        schedule = _schedule(ready, scheduler, scheduler_every)
        record = _begin_record(folder, ready)
    except BaseException:
        _remove_if_empty(folder)
        raise
    run = Run(recipe, ready.classifier, record, dataset=ready.dataset, folder=folder)
    try:
        with (
            shown_progress(progress) as shown,
            stop_request() as stop,
        ):
            _descend(ready, schedule, _announcer(record, shown, *observers), stop)
        record.close()
        if folder is not None:
            save_classifier(run.classifier, folder)
    except RunError as error:
        rescued = _rescue(run)
        record.abandon()
        raise RunError(f"{error}; {rescued}") from error
    return run


def _announcer(*observers: Observer) -> Observer:
    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell


def _descend(ready: Preparation, schedule: Schedule, tell: Observer, stop: StopRequest) -> None:
    """Take all the steps and tell what happens; the model is current when this returns."""
    plan, engine, pace = ready.plan, ready.choice.engine, Pace()
    best, mean = Best(), EpochAverage()
    started = time.perf_counter()
    tell(_run_started(ready))
    engine.load(plan)
    step, total, ending = 0, _total_steps(plan), None
    try:
        while step < total and ending is None:
            end = min(total, (step // plan.steps_per_epoch + 1) * plan.steps_per_epoch)
            stats, ending = _descend_to(end, step, ready, schedule, pace, tell, stop)
            with averages_in(plan.model, engine.export()):
                lr, seconds = schedule.rate(step + stats.steps - 1), time.perf_counter() - started
                epoch = _epoch_finished(step, stats, ready, lr, seconds)
                tell(epoch)
                if plan.recipe.early_stopping and epoch.val_loss is not None:
                    best.offer(epoch.epoch, epoch.val_loss, plan.model)
            step += stats.steps
            schedule.epoch_done(epoch.val_loss)
            if step >= (1 - plan.recipe.swa) * total:
                mean.add(plan.model)
            if ending is None and best.epoch >= 0:
                ending = _patience_over(plan.recipe, best.epoch, epoch.epoch)
    finally:
        put(plan.model, averages(engine.export()))
        if plan.recipe.swa:
            mean.finish(plan.model, plan.inputs)
        best.restore(plan.model)
    status, reason = ending or ("finished", f"all {total} steps were taken")
    if best.epoch >= 0:
        reason += f"; the weights are those of epoch {best.epoch}, the best on the validation part"
    scores = {name: ready.classifier.score(*part) for name, part in ready.parts.items()}
    tell(RunStopped(status, reason, step, time.perf_counter() - started, scores))


def _patience_over(recipe: Recipe, best: int, epoch: int) -> tuple[str, str] | None:
    if epoch - best < recipe.patience:
        return None
    return "finished", f"the validation loss has not been lower for {recipe.patience} epochs"


def _descend_to(
    end: int,
    step: int,
    ready: Preparation,
    schedule: Schedule,
    pace: Pace,
    tell: Observer,
    stop: StopRequest,
) -> tuple[StepStats, tuple[str, str] | None]:
    """Steps up to `end`, in one epoch: what they did, and (status, reason) if they end the run."""
    plan, engine = ready.plan, ready.choice.engine
    log_every = _log_every(plan)
    epoch, first = divmod(step, plan.steps_per_epoch)
    so_far, ending = NO_STEPS, None
    while step < end and ending is None:
        goal = min(end, (step // log_every + 1) * log_every)
        interval = NO_STEPS
        while step < goal and ending is None:
            count = pace.steps(goal - step)
            due = step + count == goal and goal % log_every == 0
            rates = [schedule.rate(i) for i in range(step, step + count)]
            stats = engine.advance(rates, statistics=due)
            pace.took(count)
            interval, step = interval + stats, step + count
            if not math.isfinite(stats.loss_sum):
                ending = ("diverged", _divergence(stats, step, rates[-1]))
            elif stop:
                ending = ("interrupted", f"stopped by Ctrl-C after step {step}")
        so_far = so_far + interval
        tell(IntervalFinished(epoch, first + so_far.steps, step, rates[-1], interval))
    return so_far, ending


def _run_started(ready: Preparation) -> RunStarted:
    plan, choice = ready.plan, ready.choice
    return RunStarted(
        recipe=plan.recipe,
        engine=choice.engine.name,
        reason=choice.reason,
        rows=plan.rows,
        steps_per_epoch=plan.steps_per_epoch,
        total_steps=_total_steps(plan),
        initial_loss=ready.classifier.score(*ready.some_training_rows(_INITIAL_ROWS)).loss,
        chance_loss=ready.classifier.objective.chance_loss(len(ready.classifier.classes)),
        summary=ready.summary,
    )


def _epoch_finished(
    first: int, stats: StepStats, ready: Preparation, lr: float, seconds: float
) -> EpochFinished:
    """first: the epoch's first step. lr: of its last one."""
    validation = ready.parts.get("validation")
    score = ready.classifier.score(*validation) if validation else None
    return EpochFinished(
        epoch=first // ready.plan.steps_per_epoch,
        step=first + stats.steps,
        train_loss=stats.loss,
        train_acc=stats.accuracy,
        val_loss=score.loss if score else None,
        val_acc=score.accuracy if score else None,
        lr=lr,
        seconds=seconds,
    )


def _schedule(ready: Preparation, scheduler: TorchScheduler | None, every: str) -> Schedule:
    plan = ready.plan
    if scheduler is not None:
        if plan.recipe.schedule != "constant" or plan.recipe.warmup:
            raise RecipeError(
                "the recipe has a schedule and a scheduler was given; leave out one of the two"
            )
        return FromTorch(scheduler, ready.lr, each_step=every == "step")
    return make_schedule(plan.recipe, ready.lr, plan.steps_per_epoch, _total_steps(plan))


def _total_steps(plan: Plan) -> int:
    all_epochs = plan.recipe.epochs * plan.steps_per_epoch
    return all_epochs if plan.recipe.steps is None else min(all_epochs, plan.recipe.steps)


def _log_every(plan: Plan) -> int:
    by_epoch = plan.steps_per_epoch // _INTERVALS_AN_EPOCH
    return plan.recipe.log_every or max(by_epoch, _LEAST_STEPS_BETWEEN_LOGS)


def _divergence(stats: StepStats, step: int, lr: float) -> str:
    return (
        f"the loss became {stats.loss} within the {stats.steps} steps up to step {step}; the first "
        f"thing to try is a learning rate below {lr:g}"
    )


def _begin_record(folder: Path | None, ready: Preparation) -> Record:
    if folder is None:
        return Record.create(None)
    weights = sum(t.nbytes for t in ready.classifier.model.state_dict().values())
    require_space(folder, weights + _ROOM_FOR_THE_RECORD)
    begin_run_folder(folder, ready.plan.recipe)
    return Record.create(folder / RECORD)


def _remove_if_empty(folder: Path | None) -> None:
    if folder is not None and is_empty_folder(folder):
        folder.rmdir()


def _rescue(run: Run) -> str:
    """Save a run whose folder cannot be written elsewhere, and say where."""
    place = Path(tempfile.gettempdir(), f"steepest-rescued-{os.getpid()}-{time.time_ns()}")
    run.folder = None
    try:
        run.save(place)
    except RunError:
        return "it could not be saved elsewhere either; the trained weights are in the model"
    return f"nothing is lost: the run was saved in {place}"
