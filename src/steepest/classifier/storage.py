"""A classifier as two files: model.safetensors and classifier.json. No pickle, no code.

model.safetensors is the model's state_dict and nothing else, so any PyTorch program can load it.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import nn

from steepest.classifier.classifier import Classifier
from steepest.data import Classes, preprocessing_from_json
from steepest.engine import reference_parameter
from steepest.errors import ModelError, RunError
from steepest.files import DAMAGE, write_atomically
from steepest.nn import describe, outline, outputs_of
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
        weights = _read_weights(folder / WEIGHTS)
        objective = Objective(**description["objective"])
        classes = Classes.from_json(description["classes"])
        preprocessing = preprocessing_from_json(description["preprocessing"])
        architecture, name = description["architecture"], description["module"]
    except (SafetensorError, *DAMAGE) as error:
        raise RunError(f"{folder} holds a damaged classifier: {error}") from None
    if model is None:
        if architecture is None:
            raise RunError(
                f"{folder} holds the weights of {name}, a class of your own whose code no file "
                f"brings; pass a module: steepest.load_run({str(folder)!r}, model=...)"
            )
        model = _built(architecture, weights, preprocessing.shape, len(classes), folder)
        model.load_state_dict(weights, assign=True)
        _require_compatible_types(model, preprocessing.shape, folder)
    else:
        _require_shapes(model, weights, folder)
        model.load_state_dict(weights, assign=_on_meta(model))
    return Classifier(model.eval(), objective, preprocessing, classes)


def _built(
    architecture: dict[str, Any],
    weights: dict[str, torch.Tensor],
    shape: tuple[int, ...],
    classes: int,
    folder: Path,
) -> nn.Module:
    """The saved model, on the meta device: nothing is allocated before it fits its file.

    Raises RunError unless it has these weights and gives logits of the classes for rows of this
    shape.
    """
    try:
        model = outline(architecture, weights)
        found = _outputs(model, shape)
    except ModelError as error:
        raise RunError(f"{folder} holds a damaged classifier: {error}") from None
    if found not in ((2, classes), (2, 1), (2,)):
        raise RunError(
            f"{folder} holds a damaged classifier: its model does not give logits of {classes} "
            f"classes for rows of shape {shape}, but {found}"
        )
    return model


def _outputs(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return outputs_of(model, shape, reference_parameter(model).dtype)
    except ModelError as error:
        with suppress(ModelError):  # an embedding takes integers
            return outputs_of(model, shape, torch.int64)
        raise error


def _require_compatible_types(model: nn.Module, shape: tuple[int, ...], folder: Path) -> None:
    """Raise RunError for floating types of which torch does not take one with the other.

    Norms of float32 in a net of float16 are taken; the meta device does not tell.
    """
    types = {t.dtype for t in model.state_dict().values() if t.is_floating_point()}
    if len(types) < 2:
        return
    errors = []
    for dtype in (reference_parameter(model).dtype, torch.int64):
        try:
            with torch.no_grad():
                model.eval()(torch.zeros(1, *shape, dtype=dtype))
            return
        except (RuntimeError, IndexError) as error:
            errors.append(error)
    found = " and ".join(sorted(map(str, types)))
    raise RunError(f"{folder} holds a damaged classifier of {found}: {errors[0]}")


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        str(path).encode()
    except UnicodeEncodeError:  # safetensors opens only names that are UTF-8
        return load(path.read_bytes())
    return load_file(path)


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
