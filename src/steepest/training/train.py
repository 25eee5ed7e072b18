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
from steepest.engine import NO_STEPS, Engine, Plan, StepStats
from steepest.errors import RunError
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
    **settings: Any,
) -> Run:
    """Train a classifier by gradient descent and give back the run.

    model: any torch.nn.Module that maps a batch (N, ...) to logits, (N, C), or (N, 1) for two
    classes; trained in place. None builds a multilayer perceptron from the recipe. data: anything
    `load` takes. recipe: every setting; `settings` change single ones: train(..., lr=0.5).
    out: a new folder for the run; None keeps it in memory until `run.save`. progress: "bar",
    "epochs" (a line each), "steps" (a line each `log_every` steps), "none", or "auto": a bar on a
    terminal, else lines. observers: called with each event; they cannot change the run's numbers.

    Ctrl-C ends the training after the current step; the run is given back as it is then, with
    `run.status == "interrupted"`. Raises a SteepestError before any work if something does not fit.
    """
    recipe = (recipe or Recipe()).replace(**settings)
    check_progress(progress)
    folder = None if out is None else Path(out)
    if folder is not None:
        make_run_folder(folder)
    try:
        ready = prepare(model, data, recipe)
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
            _descend(ready, _announcer(record, shown, *observers), stop)
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


def _descend(ready: Preparation, tell: Observer, stop: StopRequest) -> None:
    """Take all the steps and tell what happens; the model is current when this returns."""
    plan, engine, pace = ready.plan, ready.choice.engine, Pace()
    started = time.perf_counter()
    tell(_run_started(ready))
    engine.load(plan)
    step, total, ending = 0, _total_steps(plan), None
    try:
        while step < total and ending is None:
            end = min(total, (step // plan.steps_per_epoch + 1) * plan.steps_per_epoch)
            stats, ending = _descend_to(end, step, plan, engine, pace, tell, stop)
            engine.export()
            tell(_epoch_finished(step, stats, ready, time.perf_counter() - started))
            step += stats.steps
    finally:
        engine.export()
    status, reason = ending or ("finished", f"all {total} steps were taken")
    scores = {name: ready.classifier.score(*part) for name, part in ready.parts.items()}
    tell(RunStopped(status, reason, step, time.perf_counter() - started, scores))


def _descend_to(
    end: int, step: int, plan: Plan, engine: Engine, pace: Pace, tell: Observer, stop: StopRequest
) -> tuple[StepStats, tuple[str, str] | None]:
    """Steps up to `end`, in one epoch: what they did, and (status, reason) if they end the run."""
    lr, log_every = plan.recipe.lr, _log_every(plan)
    epoch, first = divmod(step, plan.steps_per_epoch)
    so_far, ending = NO_STEPS, None
    while step < end and ending is None:
        goal = min(end, (step // log_every + 1) * log_every)
        interval = NO_STEPS
        while step < goal and ending is None:
            count = pace.steps(goal - step)
            due = step + count == goal and goal % log_every == 0
            stats = engine.advance([lr] * count, statistics=due)
            pace.took(count)
            interval, step = interval + stats, step + count
            if not math.isfinite(stats.loss_sum):
                ending = ("diverged", _divergence(stats, step, lr))
            elif stop:
                ending = ("interrupted", f"stopped by Ctrl-C after step {step}")
        so_far = so_far + interval
        tell(IntervalFinished(epoch, first + so_far.steps, step, lr, interval))
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
        chance_loss=math.log(len(ready.classifier.classes)),
        summary=ready.summary,
    )


def _epoch_finished(
    first: int, stats: StepStats, ready: Preparation, seconds: float
) -> EpochFinished:
    """first: the epoch's first step."""
    validation = ready.parts.get("validation")
    score = ready.classifier.score(*validation) if validation else None
    return EpochFinished(
        epoch=first // ready.plan.steps_per_epoch,
        step=first + stats.steps,
        train_loss=stats.loss,
        train_acc=stats.accuracy,
        val_loss=score.loss if score else None,
        val_acc=score.accuracy if score else None,
        lr=ready.plan.recipe.lr,
        seconds=seconds,
    )


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
