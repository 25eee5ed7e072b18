"""train() and resume() as the public has them: one net, or several at once where that is asked."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from steepest import training
from steepest.classifier import Classifier
from steepest.data import Dataset
from steepest.engine import is_first_worker, worker_count
from steepest.ensemble.checkpoint import (
    EnsembleCheckpoint,
    newest_of_ensemble,
    require_fitting_nets,
)
from steepest.ensemble.descent import EnsembleDescent
from steepest.ensemble.health import checked
from steepest.ensemble.portfolio import Portfolio, prepare_portfolio
from steepest.ensemble.preset import Decision, decided
from steepest.errors import RecipeError, RunError, SteepestWarning, warn
from steepest.files import make_run_folder, write_atomically
from steepest.health import Findings
from steepest.recipe import SETTINGS, Recipe
from steepest.run import (
    RECORD,
    Observer,
    Record,
    Run,
    load_parts,
    load_run,
    require_run_folder,
)
from steepest.training.checkpoint import Checkpoints, remove_partial_files
from steepest.training.interrupt import StopRequest
from steepest.training.progress import check_progress
from steepest.training.resume import recipe_to_go_on, require_same_rows
from steepest.training.schedule import TorchScheduler, check_scheduler_every
from steepest.training.session import begin_record, locked, save_after
from steepest.training.sources import with_sources
from steepest.training.train import remove_if_begun


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

    Without a model, on a table, and where neither net nor optimizer is described, the preset
    "tabular" decides: several nets on two views of the columns are trained at once and give their
    mean (docs/presets/tabular.md). `preset` asks for one by name; settings given by hand are kept.

    Args:
        model: Any torch.nn.Module that maps a batch (N, ...) to logits, (N, C), or (N, 1) for two
            classes; trained in place. None builds nets from the recipe.
        data: Anything `load_data` takes.
        recipe: Every setting. The run's recipe names its files by their absolute paths, so that
            `resume` finds them again.
        out: A new folder for the run; None keeps it in memory until `run.save`.
        progress: "bar", "epochs" (a line each), "steps" (a line each `log_every` steps), "none", or
            "auto": a bar on a terminal, a picture in a notebook, else lines.
        observers: Called with each event; they cannot change the run's numbers. What one of them
            raises ends the training as Ctrl-C does, and is raised when the run is saved. One with a
            method `close` is closed at the end. `steepest.loggers` has those of trackers.
        scheduler: Makes a scheduler of torch.optim.lr_scheduler from an optimizer, instead of the
            recipe's schedule: lambda optimizer: StepLR(optimizer, 3).
        scheduler_every: "epoch" or "step", after which it takes a step.
        **settings: Change single settings: train(..., lr=0.5).

    Returns:
        The run. One net ends with its last weights, with their average if the recipe has ema or
        swa, and with those of the epoch of the lowest validation loss if it has early_stopping;
        each of several nets with those of the epoch of the lowest loss on its own held-out rows.

        Before the first step the plan is checked (see `check`; check=False leaves that out):
        warnings are shown as HealthWarning and kept in `run.findings`. Ctrl-C or SIGTERM ends the
        training after the current step; the run is given back as it is then, with `run.status ==
        "interrupted"`, and `resume` goes on with it.

    Raises:
        HealthError: The check found an error.
        SteepestError: Something does not fit; before any work.
    """
    asked = Recipe.of(recipe, settings)
    return _train(
        model,
        data,
        asked,
        out=out,
        progress=progress,
        observers=observers,
        scheduler=scheduler,
        scheduler_every=scheduler_every,
    )


def go_on(
    start: Classifier,
    model: nn.Module | None,
    data: Any,
    recipe: Recipe,
    *,
    progress: str = "auto",
    observers: Sequence[Observer] = (),
) -> Run:
    """A new run whose nets begin with the weights of earlier ones, in memory.

    One net may go on with other rows, which are encoded and scaled as the earlier ones were. Of
    several each goes on in its place, so the rows and the seed must be the same: a net is measured
    on rows that it has not learned from.

    Args:
        start: The earlier ones.
        model: As for `train`.
        data: As for `train`.
        recipe: As for `train`.
        progress: As for `train`.
        observers: As for `train`.

    Raises:
        ModelError: The nets are of another form, others in number, or the rows are not the same.
        SteepestError: As for `train`.
    """
    return _train(model, data, recipe, progress=progress, observers=observers, start=start)


def _train(
    model: nn.Module | None,
    data: Any,
    asked: Recipe,
    *,
    out: str | Path | None = None,
    progress: str,
    observers: Sequence[Observer],
    scheduler: TorchScheduler | None = None,
    scheduler_every: str = "epoch",
    start: Classifier | None = None,
) -> Run:
    started = time.perf_counter()
    check_progress(progress)
    check_scheduler_every(scheduler_every)
    decision = decided(model, data, asked, by_hand=scheduler is not None)
    if not decision.several:
        return training.train(
            model,
            data,
            decision.recipe,
            out=out,
            progress=progress,
            observers=observers,
            scheduler=scheduler,
            scheduler_every=scheduler_every,
            notes=(decision.line,) if decision.line else (),
            parts=decision.dataset,
            start=start,
        )
    if worker_count() > 1:
        raise RecipeError(
            f"several nets at once are trained in one process, and {worker_count()} were started: "
            "start one, or train a single net (members = 1, or hidden = ... without a preset)"
        )
    if scheduler is not None:
        raise RecipeError("an ensemble takes the recipe's schedule; leave out the scheduler")
    folder = None if out is None else Path(out)
    if folder is not None:
        make_run_folder(folder)
    with locked(folder), torch.inference_mode(False), torch.enable_grad():
        try:
            decision = replace(decision, recipe=with_sources(decision.recipe, data))
            portfolio = _portfolio(decision)
            portfolio = portfolio if start is None else portfolio.going_on_from(start)
            findings = checked(portfolio) if portfolio.recipe.check else {}
            nets = [member.plan.model for member in portfolio.members]
            weights = sum(p.nbytes for net in nets for p in net.parameters())
            record = begin_record(folder, portfolio.recipe, weights)
        except BaseException:
            remove_if_begun(folder)
            raise
        run = Run(
            portfolio.recipe,
            portfolio.classifier(),
            record,
            dataset=portfolio.dataset,
            folder=folder,
        )
        _carry_out(run, portfolio, progress, observers, started, findings)
    return run


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

    The weights at the end are, bit for bit, those of a run that was never interrupted. A run of one
    net that had finished goes on if it is given more epochs: resume("runs/a", epochs=20), and ends
    as one that had them from the start; with swa that is refused where the mean can no longer be
    made. One that early stopping ended goes on with more patience, one that diverged with another
    lr or a scheduler. Else a run that has ended is given back as it is, and a SteepestWarning says
    so, as with one of several nets.

    Args:
        path: The run's folder.
        model: Needed for a module of the user's own class; its weights are replaced.
        data: Needed if the run was not given a file or a name, or if the file was moved (and
            validation, test, if their files were).
        progress: As in `train`.
        observers: As in `train`.
        scheduler: As in `train`.
        scheduler_every: As in `train`.
        accept_changes: Go on although the data or recipe.toml are not those of the checkpoint.
        **settings: What is to be different from now on.

    Raises:
        RunError: There is no checkpoint, another process works on the run, or something has
            changed.
    """
    started = time.perf_counter()
    folder = Path(path)
    check_progress(progress)
    if is_first_worker():  # another one may have no such folder on its machine
        require_run_folder(folder, to_write=True)
    if not is_first_worker() or (Recipe.read(folder / "recipe.toml").members or 1) == 1:
        return training.resume(
            path,
            model,
            data,
            progress=progress,
            observers=observers,
            scheduler=scheduler,
            scheduler_every=scheduler_every,
            accept_changes=accept_changes,
            **settings,
        )
    if worker_count() > 1:
        raise RunError(f"{folder} is a run of several nets, which goes on in one process alone")
    if model is not None or scheduler is not None:
        raise RunError(f"{folder} is a run of several nets, which takes no model and no scheduler")
    with locked(folder), torch.inference_mode(False), torch.enable_grad():
        remove_partial_files(folder)
        checkpoint = newest_of_ensemble(folder)
        recipe = recipe_to_go_on(
            folder,
            checkpoint.recipe,
            accept_changes,
            settings,
            resumable=[name for name, one in SETTINGS.items() if one.resumable_with_members],
            what="a run of several nets",
        )
        recipe = (
            with_sources(recipe, data) if data is None or isinstance(data, (str, Path)) else recipe
        )
        portfolio = _portfolio(Decision(recipe, load_parts(data, recipe)))
        if len(portfolio.members) != len(checkpoint.members):
            raise RunError(f"{folder} has a checkpoint of {len(checkpoint.members)} nets")
        require_same_rows(checkpoint.data, portfolio.train, accept_changes)
        require_fitting_nets(checkpoint, portfolio)
        if ended := _ended(folder, checkpoint, recipe, portfolio.dataset):
            return ended
        record = Record.reopen(folder / RECORD)
        record.rewind(checkpoint.whole_steps, checkpoint.whole_steps)
        write_atomically(folder / "recipe.toml", recipe.to_toml().encode())
        run = Run(recipe, portfolio.classifier(), record, dataset=portfolio.dataset, folder=folder)
        _carry_out(run, portfolio, progress, observers, started, {}, checkpoint)
    return run


def _portfolio(decision: Decision) -> Portfolio:
    assert decision.dataset is not None
    notes = (decision.line,) if decision.line else ()
    return prepare_portfolio(decision.dataset, decision.recipe, notes)


def _ended(
    folder: Path, checkpoint: EnsembleCheckpoint, recipe: Recipe, dataset: Dataset
) -> Run | None:
    """The run as it is, if it had finished, was saved, and is not given more time."""
    if recipe.time_limit != checkpoint.recipe.time_limit:
        return None
    try:
        run = load_run(folder)
    except RunError:  # killed before its model was whole: the end is carried out again
        return None
    if run.status != "finished":
        return None
    run.dataset = dataset
    warn(
        "the run has ended and nothing was trained (finished); nets whose schedule has ended do "
        "not go on: begin a new run for more epochs",
        SteepestWarning,
    )
    return run


def _carry_out(
    run: Run,
    portfolio: Portfolio,
    progress: str,
    observers: Sequence[Observer],
    started: float,
    findings: dict[int, Findings],
    checkpoint: EnsembleCheckpoint | None = None,
) -> None:
    """Train, and save what came of it; from a checkpoint if there is one."""

    def descend(notify: Observer, stop: StopRequest, checkpoints: Checkpoints | None) -> None:
        descent = EnsembleDescent(portfolio, notify, stop, checkpoints, started, findings)
        if checkpoint is not None:
            descent.restore(checkpoint)
        run.classifier = descent.run()

    save_after(run, progress, observers, descend)
