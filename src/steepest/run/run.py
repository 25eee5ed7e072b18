"""Run: what training gives back, and what a run folder holds (see folder.py)."""

import copy
import shutil
import tempfile
from html import escape
from pathlib import Path
from typing import Any, Literal

import polars as pl
from torch import nn

from steepest.classifier import (
    Classifier,
    Evaluation,
    Score,
    open_classifier,
    permutation_importance,
    save_classifier,
)
from steepest.classifier.html import html_table
from steepest.data import Dataset, Samples
from steepest.errors import RunError
from steepest.files import is_empty_folder, make_run_folder, write_failure
from steepest.health import Findings, findings_of
from steepest.recipe import Recipe
from steepest.run.attached import attached
from steepest.run.folder import RECORD, begin_run_folder, require_run_folder
from steepest.run.parts import parts_of_run
from steepest.run.record import Record
from steepest.run.tensors import put_best


class Run:
    """A training that was run.

    Attributes:
        recipe: Its settings.
        classifier: The trained net with preprocessing and class names.
        record: Its metrics and events.
        dataset: Its parts; None if the run was read from a folder, until `held_out` reads them.
        folder: Where it lies; None if only in memory.
        weights: Which the classifier has: "final", or "best" (see `load_run`).
    """

    def __init__(
        self,
        recipe: Recipe,
        classifier: Classifier,
        record: Record,
        *,
        dataset: Dataset | None = None,
        folder: Path | None = None,
        weights: Literal["final", "best"] = "final",
    ) -> None:
        self.recipe = recipe
        self.classifier = classifier
        self.record = record
        self.dataset = dataset
        self.folder = folder
        self.weights = weights

    @property
    def model(self) -> nn.Module:
        """The trained module: the user's own, in place."""
        return self.classifier.model

    @property
    def history(self) -> pl.DataFrame:
        """One row an epoch: epoch, step, train_loss, train_acc, val_loss, val_acc, lr, seconds.

        And val_balanced_accuracy or val_calibrated_loss, where `best_by` asks for one of them.
        """
        return self.record.history()

    @property
    def intervals(self) -> pl.DataFrame:
        """One row each `log_every` steps: epoch, batch, step, lr, rows, loss, accuracy."""
        return self.record.table("intervals")

    @property
    def layers(self) -> pl.DataFrame:
        """Per-layer statistics, one row a layer each `log_every` steps (see LayerStats).

        Of a run of several nets one row a layer of each, with the net's number, after each epoch.
        """
        of_nets = self.record.table("net_layers")
        return of_nets if of_nets.height else self.record.table("layers")

    @property
    def findings(self) -> Findings:
        """Findings of the check before training and of the diagnosis during it, the cause first."""
        return findings_of(self.record.table("findings")["details"].to_list())

    @property
    def info(self) -> dict[str, Any]:
        """What is known of the run as a whole, as plain values.

        `engine` and the `reason` for it, `rows` of the training part, `initial_loss` of the
        untrained model and `chance_loss` of one that knows nothing, in nats; once the run has
        ended, its `status`, the `seconds` it took, and its `scores` by part.
        """
        return self.record.info()

    @property
    def status(self) -> str:
        """Finished, interrupted (Ctrl-C) or diverged; "running" while neither is written."""
        return str(self.info.get("status", "running"))

    @property
    def scores(self) -> dict[str, Score]:
        """Loss and accuracy of train, validation and test at the last weights, by part."""
        return {name: Score(**score) for name, score in self.info.get("scores", {}).items()}

    def evaluate(
        self, samples: Any = None, y: Any = None, *, target: str | None = None
    ) -> Evaluation:
        """Loss, accuracy and the rest on labelled rows; by default on the best held-out part.

        Args:
            samples: Samples, (X, y), a path or a frame, or the rows alone; None for the run's own
                test part, else its validation part.
            y: The labels, where `samples` are the rows alone.
            target: The column that holds the class; None for the one trained on.

        Raises:
            RunError: No rows were given, and `held_out` gives none.
            TargetError: There are no labels, or one that training never saw.
            ModelError: The model's outputs are not finite.
        """
        if samples is None and y is None:
            samples = self.held_out()[1]
        return self.classifier.evaluate(samples, y, target=target or self.recipe.target)

    def importance(
        self,
        samples: Any = None,
        y: Any = None,
        *,
        target: str | None = None,
        repeats: int = 5,
    ) -> pl.DataFrame:
        """How much each column matters: the rise of the loss when it is shuffled.

        Args:
            samples: As for `evaluate`.
            y: As for `evaluate`.
            target: As for `evaluate`.
            repeats: How often each column is shuffled.

        Returns:
            A frame, the most important column first: column, importance (nats), std (over the
            repeats), accuracy_drop.

        Raises:
            DataError: The rows have no columns: they are pictures, for example.
            RunError: No rows were given, and `held_out` gives none.
        """
        if samples is None and y is None:
            samples = self.held_out()[1]
        source = samples if y is None else (samples, y)
        column = target or self.recipe.target
        rows = self.classifier.read(source, target=column, labelled=True)
        return permutation_importance(self.classifier, rows, repeats=repeats, seed=self.recipe.seed)

    def held_out(self) -> tuple[Literal["test", "validation"], Samples]:
        """The labelled rows that the net has not learned from, and which part they are.

        Of a run that was read from a folder they are read again from the data that its recipe
        names, and must give the scores that the run has of them.

        Returns:
            The test part, else the validation part.

        Raises:
            RunError: The run has neither, or its data are not there or have changed.
        """
        if self.dataset is None:
            self.dataset = self._dataset_again()
        if self.dataset.test:
            return "test", self.dataset.test
        if self.dataset.validation:
            return "validation", self.dataset.validation
        by_others = " (scores['validation'] is of each row by the nets that did not see it)"
        raise RunError(
            "the run has no test or validation part; pass the rows to evaluate"
            f"{by_others if 'validation' in self.scores else ''}"
        )

    def _dataset_again(self) -> Dataset:
        classifier = self.classifier
        if (
            self.weights == "best" and self.folder is not None
        ):  # the scores are of the final weights
            classifier = open_classifier(self.folder, copy.deepcopy(classifier.model))
        step = max(self.history["step"].to_list(), default=0)
        try:
            return parts_of_run(self.recipe, classifier, self.scores, step)
        except RunError as error:
            raise RunError(f"{error}; pass the rows to evaluate") from None

    def save(self, path: str | Path) -> Path:
        """Write the run into a new folder, whole or not at all.

        Args:
            path: The folder; it must not exist, or be empty.

        Returns:
            The folder.

        Raises:
            RunError: It cannot be written.
        """
        path = Path(path)
        if self.folder is not None and path.absolute() == self.folder.absolute():
            return path
        make_run_folder(path)
        place = path.resolve()  # where it leads, if the user gives a link
        work = None
        try:
            # Built beside its place and renamed: a full disk leaves no half of a run.
            work = Path(tempfile.mkdtemp(dir=place.parent, prefix=".steepest-"))
            begin_run_folder(work, self.recipe)
            self.record.copy_to(work / RECORD)
            save_classifier(self.classifier, work)
            work.chmod(place.stat().st_mode)
            place.rmdir()
            work.rename(place)
        except OSError as error:
            raise RunError(write_failure(path, error)) from error
        finally:
            if work is not None:
                shutil.rmtree(work, ignore_errors=True)
            if is_empty_folder(place):
                place.rmdir()
        return path

    def resume(self, model: nn.Module | None = None, data: Any = None, **settings: Any) -> "Run":
        """Go on with this run from its newest checkpoint; see `steepest.resume`.

        Args:
            model: Needed for a module of the user's own class.
            data: Needed if the run was not given a file or a name.
            **settings: What is to be different from now on, and further arguments of `resume`.

        Returns:
            A new run of the same folder.

        Raises:
            RunError: The run has no folder, or no checkpoint to go on from.
        """
        if self.folder is None:
            raise RunError(
                "a run goes on from the checkpoints in its folder, and this one has none"
            )
        resumed: Run = attached.resume(self.folder, model, data, **settings)
        return resumed

    def report(self, path: str | Path, *, samples: Any = None, target: str | None = None) -> Path:
        """Write a report as one HTML file; see `steepest.report.write_report`.

        Args:
            path: The file.
            samples: Labelled rows whose predictions are shown; None for the run's own test part,
                else its validation part.
            target: The column that holds their class; None for the one trained on.

        Returns:
            The file.

        Raises:
            MissingExtra: matplotlib or jinja2 is not installed.
            RunError: The file cannot be written.
        """
        return attached.report(self, path, samples=samples, target=target)

    def export(self, path: str | Path) -> dict[str, Any]:
        """Write the classifier as a file that other programs read; see `steepest.export`.

        Args:
            path: The file; the end of its name says which: .onnx for one ONNX graph of
                preprocessing, net, temperature and class names; .pt2 for the net by torch.export,
                from prepared rows to probabilities; .py for a script of plain PyTorch that trains
                the same net; .md for a model card.

        Returns:
            What was written, and by how much its probabilities differ from the classifier's.

        Raises:
            ModelError: The format cannot hold a part of the classifier, or gives other
                probabilities; nothing is written then.
            MissingExtra: onnx, onnxruntime or onnxscript is not installed.
            RunError: The end of the name is none of these, or the file cannot be written.
        """
        return attached.export(self, path)

    def card(self, path: str | Path) -> Path:
        """Write a model card as Markdown: data, recipe, scores, calibration, findings, limits.

        Args:
            path: The file, by custom README.md.

        Returns:
            The file.

        Raises:
            RunError: The file cannot be written.
        """
        return attached.card(self, path)

    def to_script(self, path: str | Path) -> Path:
        """Write this training as a plain PyTorch file, which prints the same losses.

        It imports torch, NumPy and the standard library (and what reads the data, where these do
        not), and has only what this run uses. Its rows and its first weights are compared with the
        run's before it is written.

        Args:
            path: The file, by custom train.py.

        Returns:
            The file.

        Raises:
            RunError: The run is not finished, or a script cannot read its data.
            ModelError: It is of several nets, or of a module that was given to it.
            RecipeError: A script has no words for a setting.
        """
        return attached.to_script(self, path)

    def board(self, *, browser: bool = True) -> Any:
        """Open the page that shows this run, live while it trains elsewhere; see `steepest board`.

        Args:
            browser: Whether it is opened in the browser.

        Returns:
            The board: its `url`, and `close()`, which the end of this process calls too.

        Raises:
            MissingExtra: starlette or uvicorn is not installed.
            RunError: The run has no folder, or the page cannot be served.
        """
        return attached.board(self.folder, browser=browser)

    def __repr__(self) -> str:
        facts = self.info
        where = "in memory" if self.folder is None else f"in {self.folder}"
        engine, epochs = facts.get("engine"), self.history.height
        return f"<Run {where}: {self.status}, {engine} engine, {epochs} epochs>"

    def _repr_html_(self) -> str:
        rows = [
            (name, str(score.rows), f"{score.loss:.4f}", f"{score.accuracy:.4f}")
            for name, score in self.scores.items()
        ]
        scores = html_table(("part", "rows", "loss", "accuracy"), rows)
        findings = self.findings.actionable._repr_html_() if self.findings.actionable else ""
        return f"<p><b>{escape(repr(self)[1:-1])}</b></p>{scores}{findings}"


def load_run(
    path: str | Path,
    model: nn.Module | None = None,
    *,
    weights: Literal["final", "best"] = "final",
) -> Run:
    """The run in a folder. Nothing in it is executed, so a stranger's folder is safe to open.

    Args:
        path: The run's folder.
        model: Needed only if the run trained a module of the user's own class; its weights are
            replaced by the trained ones.
        weights: "final" for those that the run ended with, "best" for those of the epoch with the
            lowest validation loss.

    Raises:
        RunError: The folder holds no run whose model was saved, or a damaged one; or a model is
            needed.
    """
    folder = Path(path)
    if weights not in ("final", "best"):
        raise RunError(f"weights must be 'final' or 'best', but is {weights!r}")
    require_run_folder(folder)
    recipe = Recipe.read(folder / "recipe.toml")
    record = Record.open(folder / RECORD)
    classifier = open_classifier(folder, model)
    if weights == "best":
        put_best(folder, classifier.model)
    return Run(recipe, classifier, record, folder=folder, weights=weights)
