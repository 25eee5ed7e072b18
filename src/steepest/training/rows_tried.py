"""Whether a model takes its rows for indices, and what is to be done where it cannot take them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from steepest.data import Inputs, Samples
from steepest.engine import module_mode, process_state, reference_parameter
from steepest.errors import DataError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, eq=False)
class Fed:
    """An Embedding that is fed rows: count indices, 0 .. count - 1; whole, or columns of them."""

    count: int
    whole: bool


def embedding_of_rows(model: nn.Module, train: Samples) -> Fed | None:
    """The first Embedding, of any depth, that is fed the rows or columns of them; None if none is.

    Two rows of integers are tried; the model is left as it was. Raises DataError for bytes, which
    are kept for pictures.
    """
    inputs = train.inputs
    layers = [m for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))]
    if not (layers and isinstance(inputs, np.ndarray) and inputs.dtype.kind in "iu"):
        return None
    some = np.arange(2) % len(train)
    rows = inputs[some if train.rows is None else train.rows[some]].astype(np.int64)
    batch = torch.from_numpy(rows).to(reference_parameter(model).device)
    fed: list[Fed] = []

    def look(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        index = given[0] if given else None
        if isinstance(index, Tensor) and _shares(index, batch):
            count = int(module.num_embeddings)  # type: ignore[arg-type]
            fed.append(Fed(count, index.numel() == batch.numel()))

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        with module_mode(model, training=False), process_state(), torch.no_grad():
            model(batch)
    except Exception:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    if not fed:
        return None
    if inputs.dtype == np.uint8:
        raise DataError(
            f"{train.source}: an Embedding of the model takes these rows for indices, and bytes "
            "are read as pictures: pass them as X.astype('int64')"
        )
    return fed[0]


def require_in_range(inputs: Inputs, fed: Fed, source: str) -> None:
    """Raise DataError naming the first index that an Embedding fed whole rows does not have."""
    if not fed.whole:
        return
    array = inputs.array if inputs.rows is None else inputs.array[inputs.rows]
    wrong = (array < 0) | (array >= fed.count)
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        raise DataError(
            f"{source}: row {place[0]}, column {', '.join(map(str, place[1:]))} is {array[place]}, "
            f"but the model's Embedding has the indices 0 .. {fed.count - 1}"
        )


def advice(model: nn.Module, batch: Tensor) -> str:
    """What to do where a model cannot take a batch, as far as its modules tell; else nothing."""
    modules = list(model.modules())
    first = next((m for m in modules if isinstance(m, _CONVOLUTIONS)), None)
    if first is not None and batch.ndim == 2:
        return f"; {_flat(first, batch.shape[1])}"
    if batch.is_floating_point() and any(isinstance(m, nn.Embedding) for m in modules):
        return (
            "; an Embedding needs integers that are not scaled: pass them as X.astype('int64') "
            "with scaling = 'none'"
        )
    return ""


def _flat(first: nn.Module, features: int) -> str:
    channels = int(first.in_channels)  # type: ignore[arg-type]
    side = math.isqrt(features // channels)
    known = isinstance(first, nn.Conv2d) and channels * side**2 == features
    shape = f"{channels}, {side}, {side}" if known else f"{channels}, ..."
    return (
        f"each row is {features} numbers in a line, and the model's {type(first).__name__} takes "
        f"rows of shape ({shape}): pass X.reshape(-1, {shape}), or begin the model with "
        f"nn.Unflatten(1, ({shape}))"
    )


def _shares(index: Tensor, batch: Tensor) -> bool:
    return index.untyped_storage().data_ptr() == batch.untyped_storage().data_ptr()
