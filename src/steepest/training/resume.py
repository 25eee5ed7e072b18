"""resume(): a run that goes on from its newest checkpoint."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from steepest.data import PreparedPart
from steepest.engine import Workers, join_workers, require_fitting
from steepest.errors import ModelError, RunError, SteepestWarning, TargetError, warn
from steepest.files import write_atomically
from steepest.nn import outline, outputs_of
from steepest.recipe import SETTINGS, Recipe
from steepest.run import CHECKPOINTS, RECORD, Observer, Record, Run, load_run, require_run_folder
from steepest.training.checkpoint import Checkpoint, fingerprint, newest, remove_partial_files
from steepest.training.descent import average_to_go_on
from steepest.training.following import follow, leading, shared, tell_end
from steepest.training.preparation import Preparation, prepare
from steepest.training.progress import check_progress
from steepest.training.schedule import TorchScheduler
from steepest.training.session import carry_out, locked, schedule_of
from steepest.training.sources import with_sources
from steepest.training.weights import require_weights, snapshot


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
    had finished goes on if it is given more epochs: `resume("runs/a", epochs=20)`, and ends as one
    that had them from the start; with swa that is refused where the mean can no longer be made. One
    that early stopping ended goes on with more patience, one that diverged with another lr or a
    scheduler. Else a run that has ended is given back as it is, and a SteepestWarning says so.

    Args:
        path: The run's folder.
        model: Needed for a module of the user's own class; its weights are replaced.
        data: Needed if the run was not given a file or a name, or if the file was moved (and
            validation, test, if their files were).
        progress: As for `train`.
        observers: As for `train`.
        scheduler: As for `train`; needed if the run had one.
        scheduler_every: As for `train`.
        accept_changes: Go on although the data or recipe.toml are not those of the checkpoint.
        **settings: What is to be different from now on, among the settings that may be.

    Returns:
        The run, with its record from the beginning.

    Raises:
        RunError: There is no checkpoint, another process works on the run, or something has changed
            that a run cannot go on with.
        SteepestError: Before any work, if something else does not fit.
    """
    folder = Path(path)
    check_progress(progress)
    workers = join_workers()
    if workers is not None and not workers.is_first:
        return follow_along(workers, model, data)
    with leading(workers):
        run = lead_on(
            workers,
            folder,
            model,
            data,
            progress,
            observers,
            scheduler,
            scheduler_every,
            accept_changes,
            settings,
        )
        tell_end(workers, run)
    return run


def follow_along(workers: Workers, model: nn.Module | None, data: Any) -> Run:
    """A worker's part in the training that the first one leads; the run at its end, in memory."""
    with torch.inference_mode(False), torch.enable_grad():
        return follow(
            workers,
            lambda recipe: prepare(model, data, recipe),
            lambda recipe, checkpoint: _prepare_to_go_on(checkpoint, model, data, recipe),
        )


def has_begun(folder: Path) -> bool:
    """Whether there is a run in this folder that has written a checkpoint."""
    return (folder / CHECKPOINTS).is_dir()


def lead_on(
    workers: Workers | None,
    folder: Path,
    model: nn.Module | None,
    data: Any,
    progress: str,
    observers: Sequence[Observer],
    scheduler: TorchScheduler | None,
    scheduler_every: str,
    accept_changes: bool = False,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Run:
    """As `resume`, by this process or the first worker."""
    require_run_folder(folder, to_write=True)
    with locked(folder), torch.inference_mode(False), torch.enable_grad():
        remove_partial_files(folder)
        checkpoint = newest(folder)
        resumable = [name for name, setting in SETTINGS.items() if setting.resumable]
        recipe = recipe_to_go_on(
            folder, checkpoint.recipe, accept_changes, settings, resumable=resumable
        )
        if data is None or isinstance(data, (str, Path)):  # an object has no better name
            recipe = with_sources(recipe, data)
        prepared = _prepare_to_go_on(checkpoint, model, data, recipe)
        require_same_rows(checkpoint.data, prepared.parts["train"], accept_changes)
        average_to_go_on(checkpoint, prepared.plan)
        if checkpoint.scheduler and scheduler is None:
            raise RunError(f"{folder} was trained with a scheduler of its own; pass it again")
        # Whether another scheduler was passed than the one that a run diverged with, nothing tells.
        over = ("finished",) if scheduler is not None else ("finished", "diverged")
        if ended := _ended_run(folder, model, prepared, checkpoint, over):
            _say_ended(ended)
            shared(prepared, workers, checkpoint)
            return ended
        schedule = schedule_of(prepared, scheduler, scheduler_every)
        prepared = shared(prepared, workers, checkpoint)
        record = Record.reopen(folder / RECORD)
        epoch_begin = checkpoint.step - checkpoint.epoch_stats.steps
        record.rewind(epoch_begin, checkpoint.step - checkpoint.interval.steps)
        write_atomically(folder / "recipe.toml", recipe.to_toml().encode())
        run = Run(recipe, prepared.classifier, record, dataset=prepared.dataset, folder=folder)
        carry_out(run, prepared, schedule, progress, observers, checkpoint)
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
    recipe, before = prepared.plan.recipe, checkpoint.recipe
    deciding = [name for name, one in SETTINGS.items() if one.resumable and one.affects_result]
    if any(getattr(recipe, name) != getattr(before, name) for name in deciding):
        return None
    try:
        run = load_run(folder, model)
    except RunError:  # killed before its model was whole: the end is carried out again
        return None
    run.dataset = prepared.dataset
    return run if run.status in over else None


def _say_ended(run: Run) -> None:
    events = run.record.table("events")["text"]
    reason = events[-1] if len(events) else "its record does not tell why"
    warn(
        f"the run has ended and nothing was trained ({run.status}: {reason}); to go on, ask for "
        "more epochs or steps, for more patience where early stopping ended it, or for another lr "
        "where it diverged",
        SteepestWarning,
    )


def recipe_to_go_on(
    folder: Path,
    before: Recipe,
    accept_changes: bool,
    settings: Mapping[str, Any],
    *,
    resumable: Container[str],
    what: str = "a run",
) -> Recipe:
    """The checkpoint's recipe with the changes that were asked for.

    Args:
        folder: Of the run.
        before: The checkpoint's.
        accept_changes: Whether recipe.toml may differ from it.
        settings: What is asked for.
        resumable: The settings that may change.
        what: The subject of the message.

    Raises:
        RunError: For any other change.
    """
    written = Recipe.read(folder / "recipe.toml")
    changed = [
        f.name for f in fields(Recipe) if getattr(before, f.name) != getattr(written, f.name)
    ]
    if changed and not accept_changes:
        shown = "; ".join(
            f"{name} is {getattr(written, name)!r} and was {getattr(before, name)!r}"
            for name in changed
        )
        raise RunError(
            f"{folder / 'recipe.toml'} has changed since the checkpoint: {shown}; undo that, or go "
            "on with accept_changes"
        )
    recipe = written.replace(**settings)
    for name in SETTINGS:
        now, then = getattr(recipe, name), getattr(before, name)
        moved = name in ("validation", "test") and isinstance(now, str) and isinstance(then, str)
        if name not in resumable and now != then and not moved:
            raise RunError(
                f"{what} cannot go on with another {name} ({now!r} instead of {then!r}): begin a "
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
    own = snapshot(model)
    require_weights(own, checkpoint.model, "the weights")
    if checkpoint.best or checkpoint.best_epoch >= 0:
        require_weights(own, checkpoint.best, "the weights of the best epoch")
    require_fitting(checkpoint.optimizer, dict(model.named_parameters()))
    if checkpoint.mean or checkpoint.epochs_averaged:
        parameters = dict(model.named_parameters())
        require_weights(parameters, checkpoint.mean, "the averaged weights")
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


def require_same_rows(data: str, train: PreparedPart, accept_changes: bool) -> None:
    """Raise RunError unless these are the training rows of a checkpoint. data: its fingerprint."""
    if accept_changes or fingerprint(train) == data:
        return
    raise RunError(
        f"the training rows are not those of the checkpoint ({len(train.targets)} rows of shape "
        f"{train.inputs.shape} now): bring back the data, or go on with accept_changes"
    )
