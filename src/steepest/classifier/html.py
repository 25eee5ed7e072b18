"""Tables of HTML for notebooks. They have no colours of their own, so that dark pages stay dark."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steepest.classifier.evaluation import Evaluation

_MOST_CLASSES = 30
_MEASURES = ("loss", "accuracy", "balanced_accuracy", "roc_auc", "expected_calibration_error")


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table: the first column is text, the others are numbers. Everything is escaped."""
    above = "".join(f"<th style='text-align:right'>{escape(cell)}</th>" for cell in head[1:])
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(first)}</th>"
        + "".join(f"<td style='text-align:right'>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    first = f"<th style='text-align:left'>{escape(head[0])}</th>"
    return f"<div style='overflow-x:auto'><table>{title}<tr>{first}{above}</tr>{body}</table></div>"


def evaluation_html(evaluation: "Evaluation") -> str:
    """The measures, the score of each class, and the confusion of up to 30 classes."""
    values = ((name, getattr(evaluation, name)) for name in _MEASURES)
    measures = [
        (name.replace("_", " "), "-" if value is None else f"{value:.4f}") for name, value in values
    ]
    classes = [
        (c.name, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", str(c.support))
        for c in evaluation.classes
    ]
    names = [c.name for c in evaluation.classes]
    parts = [
        html_table(("measure", f"on {evaluation.rows} rows"), measures),
        html_table(("class", "precision", "recall", "f1", "rows"), classes),
    ]
    if len(names) <= _MOST_CLASSES:
        corner, across = "true \\ predicted", names
        if evaluation.several:
            corner, across = "class", ["neither", "only predicted", "only true", "both"]
        rows = [
            (name, *map(str, counts))
            for name, counts in zip(names, evaluation.confusion, strict=True)
        ]
        parts.append(html_table((corner, *across), rows, "confusion"))
    return "".join(parts)
