"""Tensors with a description: NAME.safetensors and NAME.json, which holds a checksum of the first.

The description is written last, so the pair is there when both are, whole.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from steepest.errors import RunError
from steepest.files import DAMAGE, require_plain_file, write_atomically

CHECKPOINTS, BEST = "checkpoints", "best"
# What a checkpoint is called, without the ending: step-000000001234.
STEP = re.compile(r"step-[0-9]{12,}")
_VERSION = 1


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write the pair, `path` without an ending, into a folder that is no symbolic link.

    Raises RunError if it cannot be written.
    """
    content = save(tensors)
    about = {"version": _VERSION, **about, "sha256": hashlib.sha256(content).hexdigest()}
    write_atomically(path.with_suffix(".safetensors"), content, follow=False)
    described = json.dumps(about, indent=1).encode()
    write_atomically(path.with_suffix(".json"), described, follow=False)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The pair, whose tensors are those that the description was written for.

    Raises what damaged files make the readers raise (DAMAGE, SafetensorError), ValueError for
    another version or a wrong checksum, RunError for a pipe (which would be waited for) or a link.
    """
    for ending in (".json", ".safetensors"):
        require_plain_file(path.with_suffix(ending))
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if about["version"] != _VERSION:
        raise ValueError(f"it is of version {about['version']}, and {_VERSION} is read here")
    content = path.with_suffix(".safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise ValueError("its tensors do not have the checksum that was written")
    return load(content), about


@torch.no_grad()
def put_best(run: Path, model: nn.Module) -> None:
    """Give the model the weights of the epoch with the lowest validation loss. Raises RunError."""
    try:
        tensors, _ = read_tensors(run / CHECKPOINTS / BEST)
    except FileNotFoundError:
        raise RunError(f"{run} has no best weights: it had no validation part") from None
    except (*DAMAGE, SafetensorError) as error:
        raise RunError(f"the best weights of {run} are damaged: {error}") from None
    named = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    if {n: t.shape for n, t in named.items()} != {n: t.shape for n, t in tensors.items()}:
        raise RunError(f"the best weights of {run} do not fit its model")
    for name, tensor in tensors.items():
        named[name].copy_(tensor)
