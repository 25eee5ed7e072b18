"""export_run: which file a name asks for."""

from pathlib import Path
from typing import Any

from steepest.errors import RunError
from steepest.run import Run

_FORMATS = {
    ".onnx": "ONNX",
    ".pt2": "torch.export",
    ".py": "a script of PyTorch",
    ".md": "a model card",
}


def export_run(run: Run, path: str | Path) -> dict[str, Any]:
    """Write the run's classifier as a file that other programs read, by the end of its name.

    Args:
        run: The run.
        path: The file: .onnx for preprocessing, net, temperature and class names in one ONNX graph;
            .pt2 for the net by torch.export, from prepared rows to probabilities; .py for a script
            of plain PyTorch that trains the same net; .md for a model card.

    Returns:
        What was written: `format`, `path`, for all but a card `rows_compared`, and for a net the
        `largest_difference` of their probabilities.

    Raises:
        ModelError: The format has no word for a part of the classifier, or computes other
            probabilities; nothing is written then.
        RecipeError: A script has no words for a setting.
        MissingExtra: onnx, onnxruntime or onnxscript is not installed.
        RunError: The end of the name is none of these, the file cannot be written, or a script
            cannot read the run's data.
    """
    path = Path(path)
    train = None if run.dataset is None else run.dataset.train
    match path.suffix.lower():
        case ".onnx":
            from steepest.export.onnx_file import write_onnx

            return write_onnx(run.classifier, path, train)
        case ".pt2":
            from steepest.export.torch_file import write_pt2

            return write_pt2(run.classifier, path, train)
        case ".py":
            from steepest.export.script import write_script

            return write_script(run, path)
        case ".md":
            from steepest.export.card import write_card

            return write_card(run, path)
    known = ", ".join(f"{suffix} ({name})" for suffix, name in _FORMATS.items())
    raise RunError(f"a run is not exported as {path.name!r}: the name must end in {known}")
