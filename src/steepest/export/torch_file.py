"""A .pt2 file of a classifier's net by torch.export: prepared rows to probabilities, no code."""

import io
from pathlib import Path
from typing import Any

import torch

from steepest.classifier import Classifier
from steepest.data import Samples
from steepest.engine import input_dtype
from steepest.errors import ModelError
from steepest.export.net import ProbabilityNet, quietly, reason_of
from steepest.export.rows import require_same, rows_to_compare
from steepest.files import write_atomically


def write_pt2(classifier: Classifier, path: Path, train: Samples | None) -> dict[str, Any]:
    """Write the file after it was loaded again and its probabilities were compared.

    It takes rows as the preprocessing gives them, for an encoder of words is no torch operation.
    train: rows to compare on, beside made ones. Raises ModelError for a net that torch.export
    cannot trace.
    """
    net = ProbabilityNet(classifier.model, classifier.objective)
    preprocessing = classifier.preprocessing
    example = net.example(preprocessing.shape, integers=preprocessing.integers)
    buffer = io.BytesIO()
    try:
        with quietly():
            batch = ({0: torch.export.Dim("N")},)
            program = torch.export.export(net, (example,), dynamic_shapes=batch)
            torch.export.save(program, buffer)
            loaded = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    except Exception as error:  # torch raises kinds of its own
        raise ModelError(
            f"{net.name} cannot be traced by torch.export: {reason_of(error)}"
        ) from error
    rows, difference = 0, 0.0
    for samples in rows_to_compare(preprocessing, train):
        inputs = preprocessing.prepare(samples, input_dtype(classifier.model))
        given = torch.from_numpy(inputs.block(0, len(inputs))).to(example.dtype)
        with torch.no_grad():
            found = loaded(given).numpy()
        difference = max(difference, require_same(classifier, samples, found, "the .pt2 file"))
        rows += len(samples)
    write_atomically(path, buffer.getvalue())
    return {
        "format": "pt2",
        "path": str(path),
        "inputs": "prepared rows",
        "rows_compared": rows,
        "largest_difference": difference,
    }
