"""train(): a new run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from steepest.classifier import Classifier
from steepest.data import Dataset
from steepest.engine import join_workers, was_restarted
from steepest.files import make_run_folder
from steepest.recipe import Recipe
from steepest.run import LOCK, Observer, Run, load_parts
from steepest.training.following import leading, shared, tell_end
from steepest.training.model_checks import require_trainable
from steepest.training.preflight import require_healthy
from steepest.training.preparation import prepare_parts
from steepest.training.progress import check_progress
from steepest.training.resume import follow_along, has_begun, lead_on
from steepest.training.schedule import TorchScheduler, check_scheduler_every
from steepest.training.session import NOTHING, begin_record, carry_out, locked, schedule_of
from steepest.training.sources import with_sources


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
    notes: Sequence[str] = (),
    parts: Dataset | None = None,
    start: Classifier | None = None,
    **settings: Any,
) -> Run:
    """Train a classifier by gradient descent and give back the run.

    The model ends with its last weights, with their average if the recipe has ema or swa, and with
    those of the epoch of the lowest validation loss if it has early_stopping.

    Before the first step the plan is checked (see `check`; recipe.check=False leaves that out):
    warnings are shown as HealthWarning and kept in `run.findings`.

    Ctrl-C or SIGTERM ends the training after the current step; the run is given back as it is then,
    with `run.status == "interrupted"`, and `resume` goes on with it.

    Args:
        model: Any torch.nn.Module that maps a batch (N, ...) to logits, (N, C), or (N, 1) for two
            classes; trained in place. None builds a multilayer perceptron from the recipe.
        data: Anything `load_data` takes; None for the recipe's.
        recipe: Every setting; None for the defaults. The run's own recipe names its files by their
            absolute paths, so that `resume` finds them again.
        out: A new folder for the run; None keeps it in memory until `run.save`.
        progress: "bar", "epochs" (a line each), "steps" (a line each `log_every` steps), "none", or
            "auto": a bar on a terminal, a picture in a notebook, else lines.
        observers: Called with each event; they cannot change the run's numbers. What one of them
            raises ends the training as Ctrl-C does, and is raised when the run is saved. One with a
            method `close` is closed at the end. `steepest.loggers` has those of trackers.
        scheduler: Makes a scheduler of torch.optim.lr_scheduler from an optimizer, instead of the
            recipe's schedule: `lambda optimizer: StepLR(optimizer, 3)`.
        scheduler_every: Whether it takes a step after each "epoch" or each "step".
        notes: Lines that are told, and recorded, before all others.
        parts: What the recipe makes of the data, where they are read already.
        start: What to go on from: the net begins with its weights, on rows prepared as its were.
        **settings: Single settings that differ from the recipe: `train(..., lr=0.5)`.

    Returns:
        The run: the trained classifier, its record, and the parts of the data.

    Raises:
        SteepestError: Before any work, if something does not fit.
        HealthError: The check found what surely breaks the training.
        RunError: The folder cannot be written; the message says where the run was saved instead.
    """
    recipe = with_sources(Recipe.of(recipe, settings), data)
    check_progress(progress)
    check_scheduler_every(scheduler_every)
    folder = None if out is None else Path(out)
    workers = join_workers()
    if workers is not None and not workers.is_first:
        return follow_along(workers, model, data)
    with leading(workers):
        if workers is not None and folder is not None and was_restarted() and has_begun(folder):
            run = lead_on(
                workers, folder, model, data, progress, observers, scheduler, scheduler_every
            )
            tell_end(workers, run)
            return run
        if folder is not None:
            make_run_folder(folder)
        with locked(folder), torch.inference_mode(False), torch.enable_grad():
            try:
                require_trainable(model, recipe)
                parts = load_parts(data, recipe) if parts is None else parts
                prepared = prepare_parts(model, parts, recipe, start)
                prepared = replace(prepared, summary=(*notes, *prepared.summary))
                schedule = schedule_of(prepared, scheduler, scheduler_every)
                findings = require_healthy(prepared, schedule.rate) if recipe.check else NOTHING
                prepared = shared(prepared, workers)
                weights = sum(t.nbytes for t in prepared.classifier.model.state_dict().values())
                record = begin_record(folder, recipe, weights)
            except BaseException:
                remove_if_begun(folder)
                raise
            run = Run(recipe, prepared.classifier, record, dataset=prepared.dataset, folder=folder)
            carry_out(run, prepared, schedule, progress, observers, findings=findings)
        tell_end(workers, run)
    return run


def remove_if_begun(folder: Path | None) -> None:
    """Take away a folder in which nothing but the lock is; one that a link leads to is emptied."""
    if folder is not None and [path.name for path in folder.iterdir()] == [LOCK]:
        (folder / LOCK).unlink()
        if not folder.is_symlink():
            folder.rmdir()
