"""What a run of a sweep is called: a hash of its recipe, its seed and its data."""

import hashlib
import json
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
from torch import nn

from steepest.data import Dataset, Samples
from steepest.recipe import SETTINGS, Recipe

_ROWS_LOOKED_AT = 4096
_BYTES = 8


def data_name(dataset: Dataset, model: Any) -> str:
    """A hash of the rows as they were read, up to 4096 of each part, all labels, and of the model.

    Args:
        dataset: Before anything is split off.
        model: What each run begins with; None for nets of the recipe.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, part in dataset.parts():
        digest.update(name.encode())
        _add_samples(digest, part)
    if isinstance(model, nn.Module):
        digest.update(type(model).__qualname__.encode())
        for name, tensor in model.state_dict().items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    elif model is not None:
        digest.update(getattr(model, "__qualname__", type(model).__qualname__).encode())
    return digest.hexdigest()


def recipe_name(recipe: Recipe, data: str) -> str:
    """A hash of all settings that decide a result but the seed, and of the data.

    Args:
        recipe: Of the runs.
        data: As `data_name` gives it.
    """
    values = vars(recipe)
    told = ", ".join(
        text if values[name] is default else _text(name, values[name])
        for name, (default, text) in _DEFAULTS.items()
    )
    return _hash(f"[{{{told}}}, {json.dumps(data)}]")


def run_name(recipe: str, seed: int) -> str:
    """The name of a run, 16 hexadecimal digits.

    Args:
        recipe: As `recipe_name` gives it.
        seed: Of the run.
    """
    return _hash(f"{recipe} {seed}")


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_BYTES).hexdigest()


def _plain(value: Any) -> Any:
    """The same for 1 and 1.0, which are equal settings."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _text(name: str, value: Any) -> str:
    return f"{json.dumps(name)}: {json.dumps(_plain(value), sort_keys=True)}"


# Of each setting that decides a result its default, and how it is told: most are left at it.
_DEFAULTS = {
    field.name: (field.default, _text(field.name, field.default))
    for field in sorted(fields(Recipe), key=lambda field: field.name)
    if field.name != "seed" and SETTINGS[field.name].affects_result
}


def _add_samples(digest: Any, samples: Samples) -> None:
    inputs, count = samples.inputs, len(samples)
    some = np.unique(np.linspace(0, count - 1, min(count, _ROWS_LOOKED_AT)).astype(np.int64))
    rows = some if samples.rows is None else samples.rows[some]
    if isinstance(inputs, pl.DataFrame):
        digest.update(f"{inputs.schema} {count}".encode())
        flat = inputs[rows].with_columns(pl.selectors.categorical().cast(pl.String))
        digest.update(flat.write_ndjson().encode())
    else:
        digest.update(f"{inputs.shape[1:]} {inputs.dtype} {count}".encode())
        digest.update(np.ascontiguousarray(inputs[rows]).tobytes())
    if samples.labels is not None:
        digest.update("\0".join(map(str, samples.labels.reshape(-1).tolist())).encode())
    if samples.weights is not None:
        digest.update(samples.weights.tobytes())
