"""train(): a new run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from steepest.errors import RecipeError
from steepest.files import make_run_folder, require_space
from steepest.recipe import Recipe
from steepest.run import LOCK, RECORD, Observer, Record, Run, begin_run_folder
from steepest.training.preflight import require_healthy
from steepest.training.preparation import Preparation, prepare
from steepest.training.progress import check_progress
from steepest.training.schedule import TorchScheduler
from steepest.training.session import NOTHING, carry_out, locked, schedule_of
from steepest.training.sources import with_sources

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
            "auto": a bar on a terminal, else lines.
        observers: Called with each event; they cannot change the run's numbers. What one of them
            raises ends the training as Ctrl-C does, and is raised when the run is saved.
        scheduler: Makes a scheduler of torch.optim.lr_scheduler from an optimizer, instead of the
            recipe's schedule: `lambda optimizer: StepLR(optimizer, 3)`.
        scheduler_every: Whether it takes a step after each "epoch" or each "step".
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
    if scheduler_every not in ("epoch", "step"):
        raise RecipeError(f"scheduler_every must be 'epoch' or 'step', but is {scheduler_every!r}")
    folder = None if out is None else Path(out)
    if folder is not None:
        make_run_folder(folder)
<<<<<<< HEAD
    with locked(folder), torch.inference_mode(False), torch.enable_grad():
=======
    with alone(folder), torch.inference_mode(False), torch.enable_grad():
>>>>>>> 1980068 (ensemble: several nets in one run, and the preset tabular that trains them by default)
        try:
            prepared = prepare(model, data, recipe)
            schedule = schedule_of(prepared, scheduler, scheduler_every)
            findings = require_healthy(prepared, schedule.rate) if recipe.check else NOTHING
            record = _begin_record(folder, prepared)
        except BaseException:
            remove_if_begun(folder)
            raise
        run = Run(recipe, prepared.classifier, record, dataset=prepared.dataset, folder=folder)
        carry_out(run, prepared, schedule, progress, observers, findings=findings)
    return run


<<<<<<< HEAD
=======
def resume(
    path: str | Path,
    model: nn.Module | None = None,
    data: Any = None,
    *,
    progress: str = "auto",
    observers: Sequence[Observer] = (),
    scheduler: TorchScheduler | None = None,
    scheduler_every: str = "epoch",
    accept_changes: bool = False,
    **settings: Any,
) -> Run:
    """Go on with a run that was interrupted or killed, from its newest checkpoint.

    The weights at the end are, bit for bit, those of a run that was never interrupted. A run that
    had finished goes on if it is given more epochs: resume("runs/a", epochs=20), and ends as one
    that had them from the start; with swa that is refused where the mean can no longer be made. One
    that early stopping ended goes on with more patience, one that diverged with another lr or a
    scheduler. Else a run that has ended is given back as it is, and a SteepestWarning says so.

    path: the run's folder. model: needed for a module of the user's own class; its weights are
    replaced. data: needed if the run was not given a file or a name, or if the file was moved (and
    validation, test, if their files were). settings: what is to be different from now on.
    accept_changes: go on although the data or recipe.toml are not those of the checkpoint. The
    other arguments are those of `train`. Raises RunError if there is no checkpoint, another process
    works on the run, or something has changed.
    """
    folder = Path(path)
    check_progress(progress)
    require_run_folder(folder, to_write=True)
    with alone(folder), torch.inference_mode(False), torch.enable_grad():
        remove_partial_files(folder)
        checkpoint = newest(folder)
        recipe = _recipe_to_go_on(folder, checkpoint, accept_changes, settings)
        if data is None or isinstance(data, (str, Path)):  # an object has no better name
            recipe = with_sources(recipe, data)
        prepared = _prepare_to_go_on(checkpoint, model, data, recipe)
        _require_same_data(checkpoint, prepared.plan, accept_changes)
        average_to_go_on(checkpoint, prepared.plan)
        if checkpoint.scheduler and scheduler is None:
            raise RunError(f"{folder} was trained with a scheduler of its own; pass it again")
        # Whether another scheduler was passed than the one that a run diverged with, nothing tells.
        over = ("finished",) if scheduler is not None else ("finished", "diverged")
        if ended := _ended_run(folder, model, prepared, checkpoint, over):
            _say_ended(ended)
            return ended
        schedule = _schedule(prepared, scheduler, scheduler_every)
        record = Record.reopen(folder / RECORD)
        epoch_begin = checkpoint.step - checkpoint.epoch_stats.steps
        record.rewind(epoch_begin, checkpoint.step - checkpoint.interval.steps)
        write_atomically(folder / "recipe.toml", recipe.to_toml().encode())
        run = Run(recipe, prepared.classifier, record, dataset=prepared.dataset, folder=folder)
        _carry_out(run, prepared, schedule, progress, observers, checkpoint)
    if checkpoint.epoch_stats.steps == 0 and run.history["step"].max() == checkpoint.step:
        _say_ended(run)
    return run


def _ended_run(
    folder: Path,
    model: nn.Module | None,
    prepared: Preparation,
    checkpoint: Checkpoint,
    over: tuple[str, ...],
) -> Run | None:
    """The run as it is, if it had ended and nothing is asked for that could take it further.

    over: the statuses of a run that has ended.
    """
    recipe, kept = prepared.plan.recipe, checkpoint.recipe
    deciding = [name for name, one in SETTINGS.items() if one.resumable and name not in _IDLE]
    if any(getattr(recipe, name) != getattr(kept, name) for name in deciding):
        return None
    try:
        run = load_run(folder, model)
    except RunError:  # killed before its model was whole: the end is carried out again
        return None
    run.dataset = prepared.dataset
    return run if run.status in over else None


def _say_ended(run: Run) -> None:
    told = run.record.table("events")["text"]
    reason = told[-1] if len(told) else "its record does not tell why"
    warn(
        f"the run has ended and nothing was trained ({run.status}: {reason}); to go on, ask for "
        "more epochs or steps, for more patience where early stopping ended it, or for another lr "
        "where it diverged",
        SteepestWarning,
    )


def _recipe_to_go_on(
    folder: Path, checkpoint: Checkpoint, accept_changes: bool, settings: dict[str, Any]
) -> Recipe:
    """The checkpoint's recipe with the changes that were asked for. Raises RunError for others."""
    kept, found = checkpoint.recipe, Recipe.read(folder / "recipe.toml")
    changed = [f.name for f in fields(Recipe) if getattr(kept, f.name) != getattr(found, f.name)]
    if changed and not accept_changes:
        shown = "; ".join(
            f"{name} is {getattr(found, name)!r} and was {getattr(kept, name)!r}"
            for name in changed
        )
        raise RunError(
            f"{folder / 'recipe.toml'} has changed since the checkpoint: {shown}; undo that, or go "
            "on with accept_changes"
        )
    recipe = found.replace(**settings)
    for name, setting in SETTINGS.items():
        now, then = getattr(recipe, name), getattr(kept, name)
        moved = name in ("validation", "test") and isinstance(now, str) and isinstance(then, str)
        if not setting.resumable and now != then and not moved:
            raise RunError(
                f"a run cannot go on with another {name} ({now!r} instead of {then!r}): begin a "
                "new run"
            )
    return recipe


def _prepare_to_go_on(
    checkpoint: Checkpoint, model: nn.Module | None, data: Any, recipe: Recipe
) -> Preparation:
    """As `prepare`, with the net of the checkpoint and the learning rate that it began with."""
    rebuilt = model is None
    if model is None:
        if checkpoint.architecture is None:
            raise RunError(
                "this run trained a module that no file can build anew: of a class of your own, or "
                "with a part that is used twice or parameters that share memory; pass it: "
                "resume(..., model=...)"
            )
        model = _rebuilt(checkpoint.architecture, checkpoint.model)
    defaults = {f.name: f.default for f in fields(Recipe) if SETTINGS[f.name].of_net}
    lr = checkpoint.lr if recipe.lr == "auto" else recipe.base_lr
    try:
        prepared = prepare(model, data, recipe.replace(**defaults, lr=lr))
    except (ModelError, TargetError) as error:
        if not rebuilt:
            raise
        raise RunError(
            f"the data are not those that the run was trained on and its net was made for: {error}"
        ) from error
    expected = {name: t.shape for name, t in checkpoint.model.items()}
    if expected != {name: t.shape for name, t in snapshot(model).items()}:
        raise RunError("the weights of the checkpoint do not fit this model: their shapes differ")
    return replace(prepared, plan=replace(prepared.plan, recipe=recipe))


def _rebuilt(architecture: dict[str, Any], tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The checkpoint's net with its weights, which looks at the size of its rows before the first.

    Raises RunError unless it has these weights.
    """
    try:
        on_meta, model = outline(architecture, tensors), outline(architecture, tensors)
    except ModelError as error:
        raise RunError(f"the checkpoint is damaged: {error}") from None
    model.load_state_dict({name: t.clone() for name, t in tensors.items()}, assign=True)

    def look(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        outputs_of(on_meta, tuple(given[0].shape[1:]), given[0].dtype)
        handle.remove()

    handle = model.register_forward_pre_hook(look)
    return model


def _require_same_data(checkpoint: Checkpoint, plan: Plan, accept_changes: bool) -> None:
    if accept_changes or fingerprint(plan) == checkpoint.data:
        return
    raise RunError(
        f"the training rows are not those of the checkpoint ({plan.rows} rows of shape "
        f"{plan.inputs.array.shape[1:]} now): bring back the data, or go on with accept_changes"
    )


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
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
    try:
        yield
    finally:
        lock.release()


def _carry_out(
    run: Run,
    prepared: Preparation,
    schedule: Schedule,
    progress: str,
    observers: Sequence[Observer],
    checkpoint: Checkpoint | None = None,
    found: Findings = NOTHING,
) -> None:
    """Train, and save what came of it; from a checkpoint if there is one.

    found: by the check before training.
    """
    checkpoints: Checkpoints | None = None
    if run.folder is not None:
        checkpoints = Checkpoints(run.folder, run.recipe, run.record.commit)
    try:
        with shown_progress(progress) as shown, stop_request() as stop:
            told = Guarded(observers, stop)
            notify = announcer(run.record, shown, told)
            if run.recipe.watch:
                earlier = [EpochFinished(**row) for row in run.history.to_dicts()]
                notify = announcer(
                    notify, Diagnosis(prepared, schedule.rate, found, notify, earlier)
                )
            descent = Descent(prepared, schedule, notify, stop, checkpoints)
            if checkpoint is not None:
                descent.restore(checkpoint, run.history["val_loss"].to_list())
            descent.run()
        if run.folder is not None:
            save_classifier(run.classifier, run.folder)
        run.record.fold()  # last: a record that tells how a run ended has its model beside it
    except RunError as error:
        rescued = rescue(run)
        run.record.close(fold=False)
        raise RunError(f"{error}; {rescued}") from error
    if told.error is not None:
        told.error.add_note(kept_note(run))
        raise told.error


def kept_note(run: Run) -> str:
    """What became of a run whose observer raised."""
    if run.folder is None:
        return f"steepest: the run ends as {run.status}; the model has the weights of then"
    return f"steepest: the run ends as {run.status}, and was saved in {run.folder}; see resume"


def announcer(*observers: Observer) -> Observer:
    def notify(event: Event) -> None:
        for observer in observers:
            observer(event)

    return notify


def _schedule(prepared: Preparation, scheduler: TorchScheduler | None, every: str) -> Schedule:
    plan = prepared.plan
    if scheduler is not None:
        if plan.recipe.schedule != "constant" or plan.recipe.warmup:
            raise RecipeError(
                "the recipe has a schedule and a scheduler was given; leave out one of the two"
            )
        return FromTorch(
            scheduler,
            prepared.lr,
            each_step=every == "step",
            validation="validation" in prepared.parts,
        )
    return make_schedule(plan.recipe, prepared.lr, plan.steps_per_epoch, plan.total_steps)


>>>>>>> 1980068 (ensemble: several nets in one run, and the preset tabular that trains them by default)
def _begin_record(folder: Path | None, prepared: Preparation) -> Record:
    if folder is None:
        return Record.create(None)
    weights = sum(t.nbytes for t in prepared.classifier.model.state_dict().values())
    require_space(folder, weights + _ROOM_FOR_THE_RECORD)
    begin_run_folder(folder, prepared.plan.recipe)
    return Record.create(folder / RECORD)


def remove_if_begun(folder: Path | None) -> None:
    """Take away a folder in which nothing but the lock is; one that a link leads to is emptied."""
    if folder is not None and [path.name for path in folder.iterdir()] == [LOCK]:
        (folder / LOCK).unlink()
        if not folder.is_symlink():
            folder.rmdir()
<<<<<<< HEAD
=======


def rescue(run: Run) -> str:
    """Save a run whose folder cannot be written elsewhere, and say where."""
    place = Path(tempfile.gettempdir(), f"steepest-rescued-{os.getpid()}-{time.time_ns()}")
    run.folder = None
    try:
        run.save(place)
    except RunError:
        return "it could not be saved elsewhere either; the trained weights are in the model"
    return f"nothing is lost: the run was saved in {place}"
>>>>>>> 1980068 (ensemble: several nets in one run, and the preset tabular that trains them by default)
