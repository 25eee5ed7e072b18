"""What a model looks up by the values of its rows, seen while it takes a batch.

Embeddings, indexing, gather and one-hot codes take integers for places. Whether such an integer is
a value of the rows, or only computed from them, is followed from operation to operation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from steepest.data import Inputs
from steepest.engine.forward import module_mode, reference_parameter
from steepest.engine.process import process_state
from steepest.engine.rows import Rows
from steepest.errors import DataError

# Operations that look up, by name: where their table and their index stand among the arguments.
_TAKING = {
    "embedding": (0, 1),
    "_embedding_bag": (0, 1),
    "_embedding_bag_forward_only": (0, 1),
    "index_select": (0, 2),
    "gather": (0, 2),
    "take": (0, 1),
    "scatter": (0, 2),
    "scatter_": (0, 2),
}
_BY_DIMENSION = {"index_select", "gather", "scatter", "scatter_"}
# What these give are places of values in an order, not values.
_SEARCHING = {"argmax", "argmin", "topk", "sort", "nonzero", "searchsorted", "bucketize"}
_ROUNDING = {"floor", "ceil", "round", "trunc", "_to_copy", "copy_"}
_ROWS_AT_ONCE = 1024


class Origin(IntEnum):
    """How an index comes from the rows: their values, values that lost a fraction, or a search."""

    VALUE = 0
    ROUNDED = 1
    SEARCHED = 2


@dataclass(frozen=True)
class Lookup:
    """One look-up by something that comes from the rows, among `count` places.

    wrong: the first index that is none of them; place: of the value in the rows that it is, if it
    is one.
    """

    origin: Origin
    count: int
    table: str
    wrong: int | None = None
    place: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Trial:
    """What a model did with a batch: its look-ups in order, and what it raised."""

    lookups: tuple[Lookup, ...]
    error: Exception | None

    @property
    def by_value(self) -> bool:
        """Whether values of the rows are taken for indices."""
        return any(lookup.origin is Origin.VALUE for lookup in self.lookups)

    @property
    def wrong(self) -> Lookup | None:
        """The first look-up of a place that is not there."""
        return next((lookup for lookup in self.lookups if lookup.wrong is not None), None)


def may_look_up(model: nn.Module) -> bool:
    """Whether it could: it has an embedding, or modules that are not torch's own."""
    return any(
        isinstance(m, (nn.Embedding, nn.EmbeddingBag))
        or not type(m).__module__.startswith(("torch.nn.modules", "steepest.nn"))
        for m in model.modules()
    )


def try_batch(model: nn.Module, batch: Tensor) -> Trial:
    """A forward pass in evaluation mode; places that are not there are replaced by some that are.

    The exception is kept: that a model does not take this batch is what is asked here.
    """
    with _Watch(model, batch) as watch:
        error = None
        try:
            with module_mode(model, training=False), process_state(batch.device), torch.no_grad():
                model(batch)
        except Exception as raised:  # of anybody's forward pass
            error = raised
    return Trial(tuple(watch.lookups), error)


def require_taken(
    model: nn.Module, inputs: Inputs, source: str, rows: NDArray[np.int64] | None = None
) -> None:
    """Raise DataError naming the first row that a model looks up in vain or raises at, if any.

    rows: their numbers in the source; None where they are all.
    """
    found = _first_refused(model, inputs)
    if found is None:
        return
    at, trial = found
    row, lookup = at if rows is None else int(rows[at]), trial.wrong
    if lookup is None:
        raise DataError(f"{source}: the model cannot take row {row}: {trial.error}")
    said = f"row {row} gives the index {lookup.wrong}"
    if lookup.place is not None:
        said = f"row {row}, column {', '.join(map(str, lookup.place[1:]))} is {lookup.wrong}"
    raise DataError(
        f"{source}: {said}, but the model's {lookup.table} has the indices 0 .. "
        f"{lookup.count - 1}: number the values within these, one of them for all that training "
        "does not have, or give the model a larger one"
    )


def _first_refused(model: nn.Module, inputs: Inputs) -> tuple[int, Trial] | None:
    rows = Rows(inputs, reference_parameter(model))
    device = reference_parameter(model).device

    def tried(start: int, stop: int) -> Trial | None:
        trial = try_batch(model, rows[torch.arange(start, stop, device=device)])
        return trial if trial.wrong or trial.error else None

    for first in range(0, len(rows), _ROWS_AT_ONCE):
        start, stop = first, min(first + _ROWS_AT_ONCE, len(rows))
        if tried(start, stop) is None:
            continue
        while stop - start > 1:
            middle = (start + stop) // 2
            start, stop = (start, middle) if tried(start, middle) else (middle, stop)
        if trial := tried(start, stop):
            return start, trial
    return None


def try_extremes(model: nn.Module, inputs: Inputs) -> Trial:
    """The trial of two rows that hold the smallest and the largest value of each feature."""
    low = high = None
    for start in range(0, len(inputs), _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        block = inputs.array[some if inputs.rows is None else inputs.rows[some]]
        smallest, largest = block.min(axis=0), block.max(axis=0)
        low = smallest if low is None else np.minimum(low, smallest)
        high = largest if high is None else np.maximum(high, largest)
    both = replace(inputs, array=np.stack([low, high]), rows=None)  # type: ignore[list-item]
    like = reference_parameter(model)
    return try_batch(model, Rows(both, like)[torch.arange(2, device=like.device)])


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows a batch through a model's operations, by the memory that their results lie in."""

    def __init__(self, model: nn.Module, batch: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lookups: list[Lookup] = []
        self._batch = batch
        self._kept = [batch]  # so that memory is not used again for something else
        self._origins = {_memory(batch): Origin.VALUE}
        tensors = (*model.parameters(), *model.buffers())
        self._learned = {_memory(t) for t in tensors if t.is_floating_point()}
        self._tables = {
            _memory(m.weight): type(m).__name__
            for m in model.modules()
            if isinstance(m, (nn.Embedding, nn.EmbeddingBag))
        }

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func.overloadpacket.__name__
        if name == "embedding_renorm_":  # it changes the weights of the rows that are looked up
            return args[0]
        result = func(*self._looked_up(name, args), **(kwargs or {}))
        taken = name == "index" or name in _TAKING
        given = _tensors(args[:1] if taken else [*args, *(kwargs or {}).values()])
        origin = self._origin(name, list(given), result)
        if origin is not None:
            for tensor in _tensors([result]):
                self._kept.append(tensor)
                known = self._origins.get(_memory(tensor), Origin.VALUE)
                self._origins[_memory(tensor)] = max(known, origin)
        return result

    def _origin(self, name: str, given: list[Tensor], result: Any) -> Origin | None:
        """Of what an operation gives; None if it does not come from the rows, or is learned."""
        known = [(t, self._origins[m]) for t in given if (m := _memory(t)) in self._origins]
        if not known or any(_memory(t) in self._learned for t in given):
            return None
        values = [origin for t, origin in known if t.dtype != torch.bool]
        one = isinstance(result, Tensor)
        if name in _SEARCHING or not values or (one and result.dtype == torch.bool):
            return Origin.SEARCHED
        rounded = name in _ROUNDING and _has_fractions(known[0][0]) and not _has_fractions(result)
        return max([*values, Origin.ROUNDED if rounded else Origin.VALUE])

    def _looked_up(self, name: str, args: Sequence[Any]) -> Sequence[Any]:
        """The arguments with indices that are there; what was looked up is written down."""
        if name == "index" and isinstance(args[0], Tensor):
            table, places = args[0], list(args[1])
            dimension = 0
            for at, index in enumerate(places):
                mask = isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)
                if isinstance(index, Tensor) and not mask:
                    size = table.shape[dimension]
                    places[at] = self._within(table, index, size, -size)
                dimension += index.ndim if mask else 1
            return (table, places, *args[2:])
        if name not in _TAKING:
            return args
        at, where = _TAKING[name]
        table, index = args[at], args[where]
        size = table.shape[args[1]] if name in _BY_DIMENSION else len(table)
        if name == "take":
            size = table.numel()
        found = list(args)
        found[where] = self._within(table, index, size, -size if name == "take" else 0)
        return found

    def _within(self, table: Tensor, index: Tensor, count: int, least: int) -> Tensor:
        origin = self._origins.get(_memory(index))
        if origin is None or index.dtype not in (torch.int64, torch.int32) or not index.numel():
            return index
        kind = self._tables.get(_memory(table), "table")
        wrong = (index < least) | (index >= count)
        if not bool(wrong.any()):
            self.lookups.append(Lookup(origin, count, kind))
            return index
        first = wrong.nonzero()[0]
        value = int(index[tuple(first)])
        self.lookups.append(Lookup(origin, count, kind, value, self._place(index, first, value)))
        return index.clamp(0, count - 1)

    def _place(self, index: Tensor, first: Tensor, value: int) -> tuple[int, ...] | None:
        """Where in the batch this element of an index lies, if it is one of its values."""
        batch, steps = self._batch, torch.tensor(index.stride())
        if _memory(index) == _memory(batch):
            flat = int(index.storage_offset()) + int((first.cpu() * steps).sum())
            return tuple(map(int, np.unravel_index(flat, batch.shape)))  # it is contiguous
        same = index.shape == batch.shape and batch[tuple(first)] == value
        return tuple(first.tolist()) if same else None


def _has_fractions(values: Tensor) -> bool:
    return values.is_floating_point() and not bool((values == values.trunc()).all())


def _memory(tensor: Tensor) -> int:
    """A number for the memory that a tensor shares with its views; 0 where it has none."""
    if tensor.layout != torch.strided or nn.parameter.is_lazy(tensor):
        return 0
    return tensor.untyped_storage().data_ptr() or id(tensor)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
