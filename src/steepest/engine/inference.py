"""A model's outputs by the native kernels, where they run it: the same whatever rows are beside."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from steepest.data import Inputs, PiecewiseColumns, Scaler
from steepest.engine.layers import native_nodes
from steepest.engine.nodes import Node, oddity_of
from steepest.errors import EngineError
from steepest.extension import extension, forced_isa
from steepest.nn import Ensemble, EnsembleMean

# A vector of the widest instruction set, in floats: what per-feature arrays are padded to.
_LANES = 16


def native_outputs(model: nn.Module, inputs: Inputs) -> Tensor | None:
    """The outputs in evaluation mode, (N, C) float32; None where torch is needed for them.

    torch's number of threads is what this uses at most.
    """
    if not _is_readable(inputs) or torch_module._global_forward_hooks:
        return None
    if type(model) is not Ensemble:
        nodes = _nodes(model, inputs.shape)
        return None if nodes is None else _run(model, nodes, inputs)
    if not inputs.scaler.is_identity or len(inputs.shape) != 1 or oddity_of(model):
        return None
    logits = []
    for member, (first, beyond) in zip(model.members, model.spans, strict=True):
        columns = inputs.columns(first, beyond)
        nodes = _nodes(member, columns.shape)
        if nodes is None:
            return None
        logits.append(_run(member, nodes, columns))
    with torch.no_grad():
        return model.combine(torch.stack(logits))


class StackedOutputs:
    """The outputs for the same rows of many nets of one shape; those that `native_outputs` gives.

    Args:
        model: One of the nets.
        inputs: N rows.

    Raises:
        EngineError: If torch is needed for them.
    """

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        nodes = _nodes(model, inputs.shape) if _is_readable(inputs) else None
        if nodes is None:
            raise EngineError("the native engine cannot give the outputs of this model")
        self._rows, self._count = native_rows(inputs), len(inputs)
        self._inference = _inference(nodes, inputs, threads=1)
        if self._inference.members > 1:
            raise EngineError("the outputs of members that share a net are put together by torch")

    def of(self, states: NDArray[np.float32]) -> Tensor:
        """(K, N, C) float32. states: (K, S), which begin with the parameters in their order."""
        shape = (len(states), self._count, self._inference.classes)
        outputs = np.empty(shape, dtype=np.float32)
        self._inference.run_stacked(self._rows, states, outputs)
        return torch.from_numpy(outputs)


def native_rows(inputs: Inputs, **targets: Any) -> Any:
    """The inputs as the extension's `Rows`, which keeps these arrays alive."""
    offset, factor = _padded(inputs.scaler, math.prod(inputs.shape))
    return extension().Rows(
        inputs.array,
        rows=None if inputs.rows is None else np.ascontiguousarray(inputs.rows, dtype=np.int64),
        samples=len(inputs),
        offset=offset,
        factor=factor,
        shift=inputs.scaler.shift,
        piecewise=None if inputs.piecewise is None else _columns(inputs.piecewise),
        **{"targets": None, "labels": None, "weights": None, **targets},
    )


def _columns(columns: PiecewiseColumns) -> Any:
    """The columns as the extension's `PiecewiseColumns`."""
    integers = {
        "from_": columns.plain[:, 0],
        "to": columns.plain[:, 1],
        **{name: getattr(columns, name) for name in ("values", "places", "first", "bins")},
    }
    floats = {"empty": columns.empty, "full": columns.full}
    return extension().PiecewiseColumns(
        width=columns.width,
        **{name: np.ascontiguousarray(part, dtype=np.int64) for name, part in integers.items()},
        **{name: np.ascontiguousarray(part, dtype=np.float32) for name, part in floats.items()},
    )


def rows_obstacle(array: NDArray[Any]) -> str | None:
    """What keeps the extension from reading rows as they lie, in one line; None if nothing does."""
    if array.dtype not in (np.uint8, np.float32):
        return f"the inputs are {array.dtype}, and the native engine reads uint8 and float32"
    if len(array) and not array[0].flags.c_contiguous:
        return "the rows of the inputs do not lie in one piece in memory"
    return None


def _is_readable(inputs: Inputs) -> bool:
    if extension() is None or not len(inputs) or rows_obstacle(inputs.array) is not None:
        return False
    try:
        extension().isa(forced_isa())
    except RuntimeError:
        return False
    return True


def _nodes(model: nn.Module, shape: tuple[int, ...]) -> Sequence[Node] | None:
    nodes = native_nodes(model, shape, trained=False)
    return None if isinstance(nodes, str) else nodes


def _run(model: nn.Module, nodes: Sequence[Node], inputs: Inputs) -> Tensor:
    inference = _inference(nodes, inputs, torch.get_num_threads())
    tensors = [tensor for node in nodes for tensor in node.tensors.values()]
    for i, tensor in enumerate(tensors):
        inference.write(i, tensor.detach().contiguous().numpy())
    outputs = np.empty((len(inputs), inference.members, inference.classes), dtype=np.float32)
    inference.run(native_rows(inputs), outputs)
    mean = next((m for m in model.modules() if isinstance(m, EnsembleMean)), None)
    found = torch.from_numpy(outputs)
    return found[:, 0] if mean is None else mean.combine(found)


def _inference(nodes: Sequence[Node], inputs: Inputs, threads: int) -> Any:
    return extension().Inference(
        nodes=[node.spec for node in nodes],
        features=math.prod(inputs.shape),
        threads=threads,
        rows=len(inputs),
        isa=forced_isa(),
    )


def _padded(
    scaler: Scaler, features: int
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Offset and factor of each feature, None where they are all 0 and 1."""
    if scaler.is_identity:
        return None, None
    padded = np.zeros((2, -(-features // _LANES) * _LANES), dtype=np.float32)
    padded[0, :features] = np.ravel(scaler.offset)
    padded[1, :features] = np.ravel(scaler.factor)
    return (padded[0] if padded[0].any() else None), padded[1]
