"""The report of a run: one HTML file that needs no other, no network and no JavaScript."""

import io
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from steepest.classifier import Classifier, Evaluation
from steepest.classifier.mistakes import (
    Mistake,
    columns_of,
    most_confident_mistakes,
    picture,
)
from steepest.classifier.occlusion import occlusion_map
from steepest.errors import RunError, SteepestError
from steepest.report.curves import best_epoch, measured, plot_curves, plot_gap, plot_learning_rate
from steepest.report.html import data_uri, figure, write_page
from steepest.report.layers import plot_layers
from steepest.report.predictions import plot_calibration, plot_confusion
from steepest.run import Run

_MOST_MISTAKES = 12
_MEASURES = ("loss", "accuracy", "balanced_accuracy", "roc_auc", "expected_calibration_error")


def write_report(
    run: Run, path: str | Path, *, samples: Any = None, target: str | None = None
) -> Path:
    """Write the report of a run as one HTML file that needs no other, no network and no JavaScript.

    Args:
        run: A trained run.
        path: Where it is written.
        samples: Labelled rows for confusion, calibration and mistakes, as `Run.evaluate` takes
            them; by default the run's test part, else its validation part, read again from the
            recipe's data if the run was opened from a folder. Where there are none, the report says
            so.
        target: The column of the class, by default the one trained on.

    Returns:
        The path.

    Raises:
        RunError: The file cannot be written.
    """
    rows, what = _rows(run, samples, target)
    return write_page(
        path,
        "report.html.jinja",
        run=run,
        title="Run" if run.folder is None else run.folder.name,
        facts=_facts(run),
        notes=_notes(run),
        settings=_settings(run),
        best=_best(run),
        curves=list(_curves(run)),
        findings=list(getattr(run, "findings", None) or ()),
        what=what,
        **_predictions(run, rows),
    )


def _rows(run: Run, samples: Any, target: str | None) -> tuple[Any, str]:
    """The rows to predict, and what they are called; None and the reason if there are none."""
    if samples is not None:
        rows = run.classifier.read(samples, target=target or run.recipe.target, labelled=True)
        return rows, f"{rows.source}, {len(rows)} rows"
    try:
        name, part = run.held_out()
    except SteepestError as error:
        return None, str(error)
    return part, f"the {name} part, {len(part)} rows"


def _predictions(run: Run, rows: Any) -> dict[str, Any]:
    if rows is None:
        return {"evaluation": None, "measures": [], "pictures": [], "mistakes": None}
    evaluation = run.evaluate(rows)
    multilabel = run.classifier.classes.multilabel
    mistakes = (
        None if multilabel else most_confident_mistakes(run.classifier, rows, count=_MOST_MISTAKES)
    )
    return {
        "evaluation": evaluation,
        "measures": [(_name(m), _number(getattr(evaluation, m))) for m in _MEASURES],
        "pictures": list(_pictures(evaluation)),
        "mistakes": None if mistakes is None else [_entry(run.classifier, m) for m in mistakes],
    }


def _name(measure: str) -> str:
    return {"roc_auc": "ROC AUC", "acc": "accuracy"}.get(measure, measure.replace("_", " "))


def _pictures(evaluation: Evaluation) -> Iterator[tuple[str, Markup]]:
    yield "Confusion matrix", figure(lambda: plot_confusion(evaluation), "Confusion matrix")
    yield "Calibration", figure(lambda: plot_calibration(evaluation), "Reliability diagram")


def _curves(run: Run) -> Iterator[tuple[str, Markup]]:
    history, intervals, layers = run.history, run.intervals, run.layers
    by = run.recipe.best_by
    for quantity in measured(history) if history.height else ():
        title = _name(quantity).capitalize()
        draw = partial(plot_curves, history, quantity, best_by=by)
        yield title, figure(draw, f"{title} over the epochs")
    if best_epoch(history) is not None:
        yield (
            "Overfitting gap",
            figure(lambda: plot_gap(history, best_by=by), "Validation less training loss"),
        )
    if intervals.height:
        yield "Learning rate", figure(lambda: plot_learning_rate(intervals), "Learning rate")
    if layers.height:
        for title, quantity in (
            ("Updates beside weights", "update_ratio"),
            ("Weights", "weight_norm"),
            ("Gradients", "gradient_norm"),
            ("Activations", "activation_std"),
        ):
            yield title, figure(lambda q=quantity: plot_layers(layers, q), f"{title} by layer")  # type: ignore[misc]


def _png(pixels: NDArray[np.float64]) -> str:
    file = io.BytesIO()
    Image.fromarray((pixels * 255).round().astype(np.uint8)).save(file, "PNG")
    return data_uri(file.getvalue(), "image/png")


def _entry(classifier: Classifier, mistake: Mistake) -> dict[str, Any]:
    """A mistake as the template shows it: with a picture, or with columns."""
    image = picture(mistake.inputs)
    entry: dict[str, Any] = {"mistake": mistake, "image": None, "map": None, "columns": {}}
    if image is None:
        return entry | {"columns": columns_of(mistake.inputs)}
    return entry | {"image": _png(image), "map": _covered(classifier, mistake)}


def _covered(classifier: Classifier, mistake: Mistake) -> str:
    """The image in grey, and over it in red what the prediction rests on."""
    assert not isinstance(mistake.inputs, dict)
    image, rests = picture(mistake.inputs), occlusion_map(classifier, mistake.inputs)
    assert image is not None
    grey = image if image.ndim == 2 else image.mean(axis=2)
    heat = np.clip(rests, 0, None) / max(float(rests.max()), 1e-9)
    pale = 0.25 + 0.75 * grey
    pixels = np.stack([np.maximum(pale, heat), pale * (1 - heat), pale * (1 - heat)], axis=-1)
    return _png(pixels)


def _facts(run: Run) -> dict[str, Any]:
    facts = run.info
    if not facts:
        raise RunError(f"the record of {run.folder or 'the run'} tells nothing of its beginning")
    return facts


def _notes(run: Run) -> list[str]:
    events = run.record.table("events")
    return [text for kind, text in events[["kind", "text"]].rows() if kind == "note"]


def _settings(run: Run) -> list[tuple[str, str, bool]]:
    """Each setting of the recipe, its value, and whether it is another than the default."""
    return [
        (field.name, repr(value), value != field.default)
        for field in fields(run.recipe)
        for value in (getattr(run.recipe, field.name),)
    ]


def _best(run: Run) -> dict[str, Any] | None:
    history, by = run.history, run.recipe.best_by
    best = best_epoch(history, by)
    if best is None:
        return None
    row = history.row(best, named=True)
    scores = [("validation loss", row["val_loss"])]
    if f"val_{by}" in row and by != "loss":
        scores.append((_name(by), row[f"val_{by}"]))
    return {"epoch": row["epoch"], "scores": ", ".join(f"{n} {v:.4f}" for n, v in scores)}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
