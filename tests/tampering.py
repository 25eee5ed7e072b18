"""Checkpoints with numbers and tensors that no run writes."""

import json
import shutil

import pytest
import torch

from steepest.errors import RunError, SteepestError
from steepest.run import read_tensors, write_tensors

ODD = (None, True, -2, 0.5, 2**64, 10**400, "3", "x", [], [1], {}, {"a": 1}, float("nan"))


def times_refused(trained, copy, place, resume):
    """How often `resume` refuses a copy of a run's folder, with each odd value at this place."""
    refused = 0
    for value in ODD:
        folder = shutil.copytree(trained, copy, dirs_exist_ok=True)
        for path in folder.glob("checkpoints/step-*.json"):
            about = inside = json.loads(path.read_text())
            for key in place[:-1]:
                inside = inside[key]
            if inside is None:  # of the first moment, when nothing was measured yet
                path.unlink()
                continue
            inside[place[-1]] = value
            path.write_text(json.dumps(about))
        try:
            resume(folder)
        except RunError:
            refused += 1
    return refused


def other_tensors(tensor):
    """Tensors that cannot stand in the place of this one; None for none at all."""
    wider = torch.zeros(*(n + 1 for n in tensor.shape)) if tensor.ndim else torch.zeros(2)
    return (None, wider.to(tensor.dtype), torch.zeros(tensor.shape, dtype=torch.int32))


def require_refused(trained, copy, resume):
    """Every tensor of every checkpoint, lost or replaced, is refused in one line before any step.

    Returns how many there were.
    """
    newest = max(trained.glob("checkpoints/step-*.json")).with_suffix("")
    tensors, about = read_tensors(newest)
    for name, tensor in tensors.items():
        for other in other_tensors(tensor):
            folder = shutil.copytree(trained, copy, dirs_exist_ok=True)
            for path in folder.glob("checkpoints/step-*"):
                path.unlink()
            changed = tensors | {name: other} if other is not None else {
                n: t for n, t in tensors.items() if n != name
            }  # fmt: skip
            write_tensors(folder / "checkpoints" / newest.name, changed, about)
            with pytest.raises(SteepestError) as refusal:
                resume(folder)
            assert "\n" not in str(refusal.value), name
            assert (copy / "record.sqlite").read_bytes() == (trained / "record.sqlite").read_bytes()
    return len(tensors)
