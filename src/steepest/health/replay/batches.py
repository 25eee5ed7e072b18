"""What a loader gives: minibatches, taken apart into inputs and target, and rows to measure."""

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from steepest.health.clock import Clock
from steepest.health.foreign import foreign
from steepest.health.replay.untouched import copied

_TARGETS = ("labels", "label", "targets", "target", "y")
# A loader may wait for its rows so many times as long as it may compute.
_PATIENCE = 20.0
_READ_TWICE = 8  # rows
_LEAST_WAIT = 1.0  # seconds
_INPUTS = ("inputs", "input", "x", "X", "image", "images", "pixel_values", "features", "data")


@dataclass(frozen=True)
class Batch:
    """A minibatch as the model and the loss take it: model(*args, **kwargs), loss(z, target).

    weights: (N,) of the rows of a plan of ours, whose loss takes them; None for 1.
    """

    args: tuple[Any, ...]
    target: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    weights: Tensor | None = None

    @property
    def rows(self) -> int:
        tensors = [t for t in (self.target, *self.args, *self.kwargs.values()) if _has_rows(t)]
        return len(tensors[0]) if tensors else 1

    @property
    def x(self) -> Tensor | None:
        """The first input that is a tensor."""
        inputs = (*self.args, *self.kwargs.values())
        return next((t for t in inputs if _has_rows(t)), None)

    def with_x(self, x: Tensor) -> "Batch":
        """The same batch with another first input."""
        old = self.x
        args = tuple(x if a is old else a for a in self.args)
        kwargs = {k: x if v is old else v for k, v in self.kwargs.items()}
        return replace(self, args=args, kwargs=kwargs)

    def take(self, rows: Any) -> "Batch":
        """Some of the rows. rows: a slice or indices."""
        n = self.rows
        return self._changed(lambda t: t[rows] if len(t) == n else t)

    def spread(self, rows: int) -> "Batch":
        """At most so many of the rows, evenly spread."""
        if rows >= self.rows:
            return self
        return self.take(torch.linspace(0, self.rows - 1, rows).long())

    def to(self, device: torch.device) -> "Batch":
        return self._changed(lambda t: t.detach().to(device))

    def detached(self) -> "Batch":
        """Without the graph that the loop made the inputs by, as an attack does."""
        return self._changed(Tensor.detach)

    def double(self) -> "Batch":
        """With inputs of floating point in double precision."""
        return self._changed(lambda t: t.double() if t.is_floating_point() else t)

    def _changed(self, change: "Callable[[Tensor], Tensor]") -> "Batch":
        kwargs = {name: _nested(value, change) for name, value in self.kwargs.items()}
        args = tuple(_nested(arg, change) for arg in self.args)
        weights = None if self.weights is None else change(self.weights)
        return Batch(args, _nested(self.target, change), kwargs, weights)


def mixed(batches: Sequence[Batch]) -> list[Batch]:
    """The same rows in batches of the same sizes, in an order drawn once for all.

    Rows of another form than the first batch's are left out, and what holds no rows is the first's.
    """
    first = batches[0]
    alike = [b for b in batches if _shapes(b) == _shapes(first)]
    order = torch.Generator().manual_seed(0)
    rows = torch.randperm(sum(b.rows for b in alike), generator=order)
    parts = [iter(_tensors(b)) for b in alike]
    whole = first._changed(lambda _: torch.cat([next(part) for part in parts]))
    return [whole.take(part) for part in torch.split(rows, [b.rows for b in alike])]


def _tensors(batch: Batch) -> list[Tensor]:
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    batch._changed(note)
    return found


def _shapes(batch: Batch) -> list[tuple[torch.Size, torch.dtype]] | None:
    """Of its tensors, without the rows; None if one has other rows than the batch."""
    tensors, n = _tensors(batch), batch.rows
    if any(len(t) != n for t in tensors):
        return None
    return [(t.shape[1:], t.dtype) for t in tensors]


class WeightedRows(NamedTuple):
    """A minibatch of a plan of ours whose rows have weights."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor


def _has_rows(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


def _nested(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if _has_rows(value):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_nested(part, change) for part in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_nested(part, change) for part in value)
    if isinstance(value, dict):
        return {name: _nested(part, change) for name, part in value.items()}
    return value


Form = Callable[[Any], Batch]


def forms(raw: Any, model: nn.Module) -> list[Form]:
    """Ways to take a batch apart, the likeliest first; empty if nothing in it can be a target."""
    if isinstance(raw, WeightedRows):  # those of the validation part may come without
        return [lambda r: Batch((r[0],), r[1], weights=r[2] if len(r) > 2 else None)]
    if isinstance(raw, Mapping):
        return _forms_of_mapping(raw, model)
    if not isinstance(raw, (tuple, list)) or len(raw) < 2:
        return []
    first = raw[0]
    if len(raw) == 2 and isinstance(first, Mapping):
        return [lambda r: Batch((), r[1], dict(r[0])), lambda r: Batch((r[0],), r[1])]
    if len(raw) == 2 and isinstance(first, (tuple, list)):
        return [lambda r: Batch(tuple(r[0]), r[1]), lambda r: Batch((r[0],), r[1])]
    if len(raw) == 2:
        return [lambda r: Batch((r[0],), r[1])]
    last = len(raw) - 1
    wanted = _positional(model.forward)
    order = dict.fromkeys(
        [*([wanted] if wanted is not None and 0 < wanted <= last else []), last, 1, *range(1, last)]
    )
    return [_splitter(k) for k in order]


def _splitter(k: int) -> Form:
    return lambda raw: Batch(tuple(raw[:k]), raw[k])


def _forms_of_mapping(raw: Mapping[Any, Any], model: nn.Module) -> list[Form]:
    target = next((name for name in _TARGETS if name in raw), None)
    if target is None:
        return []
    rest = [name for name in raw if name != target]
    known = _names(model.forward)
    named = [name for name in rest if known is None or name in known]
    forms: list[Form] = []
    if named:
        forms.append(lambda r: Batch((), r[target], {name: r[name] for name in named}))
    single = next((name for name in _INPUTS if name in rest), rest[0] if len(rest) == 1 else None)
    if single is not None:
        forms.append(lambda r: Batch((r[single],), r[target]))
    return forms


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _positional(function: Callable[..., Any]) -> int | None:
    """How many arguments a function needs; None if it does not say."""
    parameters = _parameters(function)
    if parameters is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
        for p in parameters
    )


def _names(function: Callable[..., Any]) -> set[str] | None:
    parameters = _parameters(function)
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters}


@dataclass
class LoaderSample:
    """What was read of a loader.

    batches: the first minibatches in the loader's order, raw. spread: rows from all over the data,
    collated like a batch, None if the data cannot be indexed. size: rows in all, None if not
    known. batch_size, drop_last: of the loader, None and False if not known. whole: inputs and
    labels of all rows where they lie in memory as tensors. problem: why nothing could be read.
    waited: reading took so long that it was ended. twice: a few rows, raw, as they
    came first and once more, if that was wanted and they do not lie in memory.
    """

    batches: list[Any] = field(default_factory=list)
    spread: Any = None
    size: int | None = None
    batch_size: int | None = None
    drop_last: bool = False
    whole: tuple[Tensor, ...] | None = None
    complete: bool = False
    problem: str = ""
    waited: bool = False
    dataset: Any = None
    twice: tuple[Any, Any] | None = None


class DataSize(NamedTuple):
    """Of the data behind a loader, None for what it does not say. rows: of an epoch."""

    rows: int | None
    batches: int | None

    def exceeds(self, batch_rows: int) -> bool | None:
        """Whether there is more than this one minibatch; None if nobody knows."""
        if self.rows is not None:
            return self.rows > batch_rows
        return None if self.batches is None else self.batches > 1


def size_of(loader: Any) -> DataSize | None:
    """What a loader says of its length; None for one that says nothing."""
    if loader is None:
        return None
    batches = _length(loader)
    if isinstance(loader, DataLoader):
        return DataSize(_length(loader.dataset), batches)
    return None if batches is None else DataSize(None, batches)


def read(loader: Any, most: int, rows: int, seconds: float, *, again: bool = False) -> LoaderSample:
    """The first minibatches of a loader (at most this many), and rows spread over its data.

    again: a few of these are read twice.

    Reads from a copy where that is cheap; the caller keeps the state of what is not copied.
    DataLoaders are read in this process, without their workers.
    """
    if loader is None:
        return LoaderSample(problem="none was given")
    clock = Clock(seconds, waiting=max(_PATIENCE * seconds, _LEAST_WAIT))
    if isinstance(loader, DataLoader):
        part = _read_data_loader(loader, most, rows, clock, again)
    else:
        part = _read_iterable(loader, most, clock)
    part.waited = clock.waited
    return part


def _read_iterable(loader: Any, most: int, clock: Clock) -> LoaderSample:
    part = LoaderSample(size=None)
    if not isinstance(loader, (list, tuple)):
        clone = copied(loader)
        if iter_is_once(loader) or clone is None:
            part.problem = (
                "it can be read only once, and reading it here would take its batches from the "
                "training; pass a DataLoader or a list of batches"
            )
            return part
        loader = clone[0]
    part.batches, part.complete = _some(loader, most, clock)
    part.problem = "" if part.batches else "it is empty"
    return part


def iter_is_once(iterable: Any) -> bool:
    """Whether an iterable is its own iterator, so that reading uses it up."""
    return isinstance(iterable, Iterator)


def _some(source: Iterable[Any], most: int, clock: Clock) -> tuple[list[Any], bool]:
    batches: list[Any] = []
    with foreign:
        for batch in source:
            if len(batches) >= most or (batches and clock.over):
                return batches, False
            batches.append(batch)
    return batches, True


def _read_data_loader(
    loader: DataLoader[Any], most: int, rows: int, clock: Clock, again: bool
) -> LoaderSample:
    part = LoaderSample(batch_size=loader.batch_size, drop_last=bool(loader.drop_last))
    part.dataset = loader.dataset
    if isinstance(loader.dataset, IterableDataset):
        clone = copied(loader.dataset, loader.collate_fn)
        if clone is None or iter_is_once(loader.dataset):
            part.problem = "its IterableDataset cannot be copied, and may be readable only once"
            return part
        dataset, collate = clone
        part.batches, part.complete = _some(_batched(dataset, loader, collate), most, clock)
        part.problem = "" if part.batches else "it is empty"
        return part
    objects = (loader.dataset, loader.sampler, loader.batch_sampler, loader.collate_fn)
    dataset, sampler, batch_sampler, collate = copied(*objects) or objects
    part.size = _length(dataset)
    if batch_sampler is None:
        source: Iterator[Any] = (collate(dataset[i]) for i in sampler)
    else:
        source = (collate(_items(dataset, indices)) for indices in batch_sampler)
    part.batches, part.complete = _some(source, most, clock)
    part.problem = "" if part.batches else "it is empty"
    if part.size and batch_sampler is not None:
        some = sorted(set(torch.linspace(0, part.size - 1, min(part.size, rows)).long().tolist()))
        part.spread = _spread(dataset, some, collate, clock)
    part.whole = _whole(dataset)
    if again and part.whole is None and part.spread is not None and not clock.over:
        few = some[:_READ_TWICE]
        with foreign:
            part.twice = collate(_items(dataset, few)), collate(_items(dataset, few))
    return part


def _batched(dataset: Any, loader: DataLoader[Any], collate: Any) -> Iterator[Any]:
    rows = iter(dataset)
    if loader.batch_size is None:
        yield from map(collate, rows)
        return
    while some := list(itertools.islice(rows, loader.batch_size)):
        if len(some) == loader.batch_size or not loader.drop_last:
            yield collate(some)


def _items(dataset: Any, indices: Any) -> Any:
    if hasattr(dataset, "__getitems__"):
        return dataset.__getitems__(indices)
    return [dataset[i] for i in indices]


def _spread(dataset: Any, indices: list[int], collate: Any, clock: Clock) -> Any:
    """Rows from all over; coarser if time is short."""
    before = clock.left
    with foreign:
        items = [dataset[i] for i in indices[:: max(1, len(indices) // 32)]]
        each = (before - clock.left) / max(1, len(items))
        if each * len(indices) < clock.left and not clock.waited:
            items = [dataset[i] for i in indices]
        return collate(items) if items else None


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except (TypeError, NotImplementedError):
        return None


def _whole(dataset: Any) -> tuple[Tensor, ...] | None:
    if isinstance(dataset, TensorDataset):
        return tuple(dataset.tensors)
    if isinstance(dataset, Subset):
        inner = _whole(dataset.dataset)
        indices = torch.as_tensor(dataset.indices)
        return None if inner is None else tuple(t[indices] for t in inner)
    return None
