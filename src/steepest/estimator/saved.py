"""A classifier as plain values and bytes, for whoever pickles the estimator that holds it."""

import tempfile
from pathlib import Path

from torch import nn

from steepest.classifier import Classifier, open_classifier, save_classifier


def to_plain(classifier: Classifier) -> dict[str, bytes]:
    """The files that a run folder has of a classifier, by name."""
    with tempfile.TemporaryDirectory() as folder:
        save_classifier(classifier, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def from_plain(files: dict[str, bytes], model: nn.Module | None) -> Classifier:
    """The classifier again.

    Args:
        files: As `to_plain` gave them.
        model: Needed for a module of the user's own class; its weights are replaced.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        return open_classifier(Path(folder), model)
