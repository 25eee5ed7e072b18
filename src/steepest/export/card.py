"""A model card: what a run knows of itself, as Markdown for people who were not there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steepest.classifier import Evaluation
from steepest.errors import MissingExtra, RunError
from steepest.files import write_atomically
from steepest.run import Run

_SHOWN_CLASSES = 50


def write_card(run: Run, path: str | Path) -> dict[str, Any]:
    """Write the card. Per-class scores and calibration need the run's own held-out rows."""
    path = Path(path)
    write_atomically(path, card(run).encode())
    return {"format": "card", "path": str(path)}


def card(run: Run) -> str:
    """The card as Markdown; see `write_card`."""
    names = run.classifier.classes.names
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN_CLASSES])
    more = f" and {len(names) - _SHOWN_CLASSES} more" * (len(names) > _SHOWN_CLASSES)
    several = " A row may have several of them or none." * run.classifier.classes.multilabel
    sections = {
        f"# Classifier of {len(names)} classes": [f"{shown}{more}.{several}"],
        "## Data": list(_data(run)),
        "## Training": list(_training(run)),
        "## Scores": list(_scores(run)),
        "## Findings": [f"- {f.severity} {f.code}: {f.message}" for f in run.findings.actionable]
        or ["None."],
        "## Limits": list(_limits(run)),
        "## How to load it": [_loading(run)],
    }
    return "\n\n".join("\n\n".join([title, "\n".join(x)]) for title, x in sections.items()) + "\n"


def _data(run: Run) -> Iterator[str]:
    if run.recipe.data:
        yield f"- source: `{run.recipe.data}`"
    if run.recipe.target:
        yield f"- column of the class: `{run.recipe.target}`"
    yield from (f"- {name}: {score.rows} rows scored" for name, score in run.scores.items())
    yield f"- training rows: {run.info['rows']}"
    yield from ("", "```text", *run.classifier.preprocessing.summary(), "```")


def _training(run: Run) -> Iterator[str]:
    facts = run.info
    parameters = sum(p.numel() for p in run.model.parameters())
    yield f"- net: {type(run.model).__name__}, {parameters} parameters"
    yield f"- engine: {facts['engine']}; {run.history.height} epochs; status: {run.status}"
    if "seconds" in facts:
        yield f"- seconds: {facts['seconds']:.1f}"
    yield from ("", "```toml", run.recipe.to_toml().strip(), "```")


def _scores(run: Run) -> Iterator[str]:
    yield from ("| part | rows | loss (nats) | accuracy |", "|---|---|---|---|")
    for name, score in run.scores.items():
        yield f"| {name} | {score.rows} | {score.loss:.4f} | {score.accuracy:.4f} |"
    try:
        evaluation = run.evaluate()
    except (MissingExtra, RunError) as error:
        yield f"\nPer class and calibration: not measured, {error}."
        return
    yield from _per_class(evaluation)


def _per_class(evaluation: Evaluation) -> Iterator[str]:
    yield f"\nOn {evaluation.rows} held-out rows:\n"
    yield from ("| class | precision | recall | rows |", "|---|---|---|---|")
    for score in evaluation.classes[:_SHOWN_CLASSES]:
        name = score.name.replace("|", r"\|")
        yield f"| {name} | {score.precision:.3f} | {score.recall:.3f} | {score.support} |"
    error = evaluation.expected_calibration_error
    yield f"\nBalanced accuracy {evaluation.balanced_accuracy:.4f}; calibration error {error:.4f}."


def _limits(run: Run) -> Iterator[str]:
    yield "- It gives its classes for every row, also for rows unlike those of the training."
    yield "- Its probabilities hold for rows drawn as the training rows were."
    if "test" not in run.scores:
        yield "- No test rows were kept apart here: scores of validation rows may flatter it."
    if run.status != "finished":
        yield f"- The training is not finished: {run.status}."


def _loading(run: Run) -> str:
    where = "runs/name" if run.folder is None else run.folder.name
    return (
        "```python\nimport steepest as sp\n\n"
        f"run = sp.load_run({where!r})  # the run's folder\n"
        "run.classifier.predict_proba(rows)\n```"
    )
