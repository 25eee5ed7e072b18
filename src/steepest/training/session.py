"""What stands around a descent: the folder's lock, the observers, and what is saved at the end."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from steepest.classifier import save_classifier
from steepest.errors import RecipeError, RunError
from steepest.files import require_space
from steepest.health import Findings
from steepest.recipe import Recipe
from steepest.run import (
    LOCK,
    RECORD,
    EpochFinished,
    Event,
    Observer,
    Record,
    Run,
    begin_run_folder,
)
from steepest.training.checkpoint import Checkpoint, Checkpoints
from steepest.training.descent import Descent
from steepest.training.health_observer import HealthObserver
from steepest.training.interrupt import StopRequest, forget_requests, stop_request
from steepest.training.observers import Guarded
from steepest.training.preparation import Preparation
from steepest.training.progress import shown_progress
from steepest.training.schedule import Schedule, TorchSchedule, TorchScheduler, make_schedule

NOTHING = Findings()
_ROOM_FOR_THE_RECORD = 8 * 2**20


@contextmanager
def locked(folder: Path | None) -> Iterator[None]:
    """Keep other processes from writing to this run. The lock ends with the process, however."""
    if folder is None:
        yield
        return
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"another process is working on {folder}; wait until it has ended") from None
    except OSError as error:
        raise RunError(f"cannot lock {folder}: {error.strerror or error}") from None
    # The file stays: who removes it may remove one that another process has just locked.
    forget_requests(folder)
    try:
        yield
    finally:
        forget_requests(folder)
        lock.release()


def schedule_of(prepared: Preparation, scheduler: TorchScheduler | None, every: str) -> Schedule:
    """The learning rates: the user's scheduler's if there is one, else those of the recipe.

    Raises RecipeError if there are both.
    """
    plan = prepared.plan
    if scheduler is not None:
        if plan.recipe.schedule != "constant" or plan.recipe.warmup:
            raise RecipeError(
                "the recipe has a schedule and a scheduler was given; leave out one of the two"
            )
        return TorchSchedule(
            scheduler,
            prepared.lr,
            each_step=every == "step",
            validation="validation" in prepared.parts,
        )
    return make_schedule(plan.recipe, prepared.lr, plan.steps_per_epoch, plan.total_steps)


def begin_record(folder: Path | None, recipe: Recipe, weights: int) -> Record:
    """The record of a new run; in memory without a folder.

    weights: their bytes. Raises RunError if the disk has no room for them.
    """
    if folder is None:
        return Record.create(None)
    require_space(folder, weights + _ROOM_FOR_THE_RECORD)
    begin_run_folder(folder, recipe)
    return Record.create(folder / RECORD)


def carry_out(
    run: Run,
    prepared: Preparation,
    schedule: Schedule,
    progress: str,
    observers: Sequence[Observer],
    checkpoint: Checkpoint | None = None,
    findings: Findings = NOTHING,
) -> None:
    """Train, and save what came of it; from a checkpoint if there is one.

    findings: of the check before training.
    """

    def descend(notify: Observer, stop: StopRequest, checkpoints: Checkpoints | None) -> None:
        if run.recipe.watch:
            earlier = [EpochFinished(**row) for row in run.record.table("epochs").to_dicts()]
            engine = prepared.choice.engine
            health = HealthObserver(
                prepared, schedule.rate, findings, notify, earlier, engine.export
            )
            notify = announcer(notify, health)
        descent = Descent(prepared, schedule, notify, stop, checkpoints)
        if checkpoint is not None:
            descent.restore(checkpoint, run.history["val_loss"].to_list())
        descent.run()

    save_after(run, progress, observers, descend)


def save_after(
    run: Run,
    progress: str,
    observers: Sequence[Observer],
    descend: Callable[[Observer, StopRequest, Checkpoints | None], None],
) -> None:
    """Train by `descend`, which is given whom to tell, who may stop it and where checkpoints go.

    What came of it is saved, elsewhere if the run's folder cannot be written.
    """
    checkpoints: Checkpoints | None = None
    if run.folder is not None:
        checkpoints = Checkpoints(run.folder, run.recipe, run.record.commit)
    try:
        with shown_progress(progress) as shown, stop_request(run.folder) as stop:
            guarded = Guarded(observers, stop)
            with closing(guarded):
                descend(announcer(run.record, shown, guarded), stop, checkpoints)
        if run.folder is not None:
            save_classifier(run.classifier, run.folder)
        run.record.fold()  # last: a record that tells how a run ended has its model beside it
    except RunError as error:
        rescued = rescue(run)
        run.record.close(fold=False)
        raise RunError(f"{error}; {rescued}") from error
    if guarded.error is not None:
        guarded.error.add_note(outcome(run))
        raise guarded.error


def announcer(*observers: Observer) -> Observer:
    """An observer that tells each of these, in their order."""

    def notify(event: Event) -> None:
        for observer in observers:
            observer(event)

    return notify


def outcome(run: Run) -> str:
    """What became of a run whose observer raised."""
    if run.folder is None:
        return f"steepest: the run ends as {run.status}; the model has the weights of then"
    return f"steepest: the run ends as {run.status}, and was saved in {run.folder}; see resume"


def rescue(run: Run) -> str:
    """Save a run whose folder cannot be written elsewhere, and say where."""
    place = Path(tempfile.gettempdir(), f"steepest-rescued-{os.getpid()}-{time.time_ns()}")
    run.folder = None
    try:
        run.save(place)
    except RunError:
        return "it could not be saved elsewhere either; the trained weights are in the model"
    return f"nothing is lost: the run was saved in {place}"
