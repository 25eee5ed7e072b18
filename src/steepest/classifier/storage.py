"""A classifier as two files: model.safetensors and classifier.json. No pickle, no code.

model.safetensors is the model's state_dict and nothing else, so any PyTorch program can load it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from steepest.classifier.classifier import Classifier
from steepest.data import Classes, Preprocessing
from steepest.errors import RunError
from steepest.files import DAMAGE, write_atomically
from steepest.nn import build, describe
from steepest.objective import Objective

WEIGHTS, DESCRIPTION = "model.safetensors", "classifier.json"


def save_classifier(classifier: Classifier, folder: Path) -> None:
    """Write both files into an existing folder; each is whole or not there.

    Raises RunError if they cannot be written (no space, no permission).
    """
    model = classifier.model
    # Tied parameters share memory, which the format does not allow: each name gets a copy.
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    description = {
        "architecture": describe(model),
        "module": f"{type(model).__module__}.{type(model).__qualname__}",
        "objective": {"kind": classifier.objective.kind, "outputs": classifier.objective.outputs},
        "classes": classifier.classes.to_json(),
        "preprocessing": classifier.preprocessing.to_json(),
    }
    write_atomically(folder / WEIGHTS, save(state))
    write_atomically(folder / DESCRIPTION, json.dumps(description, indent=1).encode())


def open_classifier(folder: Path, model: nn.Module | None = None) -> Classifier:
    """The classifier saved in this folder.

    model: needed for a module of the user's own class, whose code a file does not bring; its
    weights are replaced. Raises RunError if a file is missing or damaged, or the model differs.
    """
    description = _read_description(folder / DESCRIPTION)
    try:
        weights = load_file(folder / WEIGHTS)
        objective = Objective(**description["objective"])
        classes = Classes.from_json(description["classes"])
        preprocessing = Preprocessing.from_json(description["preprocessing"])
        architecture, name = description["architecture"], description["module"]
    except (SafetensorError, *DAMAGE) as error:
        raise RunError(f"{folder} holds a damaged classifier: {error}") from None
    if model is None:
        if architecture is None:
            raise RunError(
                f"{folder} holds the weights of {name}, a class of your own whose code no file "
                f"brings; pass a module: steepest.open({str(folder)!r}, model=...)"
            )
        with torch.device("meta"):  # shapes only: nothing is allocated before they are compared
            model = build(architecture)
    _require_shapes(model, weights, folder)
    if _on_meta(model):
        _require_fit(model, preprocessing.shape, len(classes), folder)
    model.load_state_dict(weights, assign=_on_meta(model))
    return Classifier(model.eval(), objective, preprocessing, classes)


def _require_fit(model: nn.Module, shape: tuple[int, ...], classes: int, folder: Path) -> None:
    """Raise RunError unless the model, on the meta device, gives logits for rows of this shape."""
    found: object = None
    for dtype in (torch.float32, torch.int64):  # the latter for embeddings
        try:
            found = tuple(model.eval()(torch.empty(2, *shape, dtype=dtype, device="meta")).shape)
            break
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            found = found or str(error).splitlines()[0]
    if found not in ((2, classes), (2, 1), (2,)):
        raise RunError(
            f"{folder} holds a damaged classifier: its model does not give logits of {classes} "
            f"classes for rows of shape {shape}, but {found}"
        )


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"{path.parent} holds no trained classifier: {path.name} is missing"
        ) from None
    except DAMAGE as error:
        raise RunError(f"cannot read {path}: {error}") from None
    if not isinstance(description, dict):
        raise RunError(f"{path} is not the description of a classifier")
    return description


def _on_meta(model: nn.Module) -> bool:
    return any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


def _require_shapes(model: nn.Module, weights: dict[str, torch.Tensor], folder: Path) -> None:
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in weights.items()}
    if expected != found:
        name = min(expected.keys() ^ found.keys(), default=None) or next(
            n for n in expected if expected[n] != found[n]
        )
        raise RunError(
            f"the weights in {folder} do not fit the model: {name} has shape "
            f"{found.get(name, 'nothing')} in the file and {expected.get(name, 'nothing')} in the "
            "model"
        )
