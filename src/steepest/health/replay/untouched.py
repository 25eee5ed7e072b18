"""Look at somebody's objects and leave them, bit for bit, as they were."""

import copy
import functools
import random
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steepest.engine import process_state
from steepest.health.foreign import foreign, swallow

Undo = Callable[[], Any]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, torch.dtype)
# Deeper than any loader or dataset of sense; wider means data, which is not walked through.
_DEPTH, _WIDTH = 8, 256
# Data up to this size are copied rather than watched.
_COPIED_BYTES, _COPIED_OBJECTS = 2**27, 100_000


class _Values:
    """What a tensor holds; called, it puts that back if somebody has written to the tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.version = tensor, tensor._version
        self.kept = tensor.detach().clone()

    def __call__(self) -> None:
        if self.tensor._version != self.version:
            with torch.no_grad():
                self.tensor.copy_(self.kept)


class Kept:
    """The values that an `untouched` keeps."""

    def __init__(self, undo: list[Undo]) -> None:
        self._values = {id(back.tensor): back for back in undo if isinstance(back, _Values)}

    def by(self, copies: nn.Module, of: nn.Module) -> None:
        """Keep the parameters by a deep copy of the model, which nobody writes to: not twice."""
        for p, copy_ in zip(of.parameters(), copies.parameters(), strict=False):
            held = self._values.get(id(p))
            if held is not None and p._version == held.version and copy_.shape == p.shape:
                held.kept = copy_.detach()


@contextmanager
def untouched(*objects: Any) -> Iterator[Kept]:
    """Put back all random generators, and the state of these objects, when the block ends.

    Of modules: parameters, buffers, gradients, flags; of optimizers: their state; of anything else
    (loaders, samplers, datasets, functions with what they enclose): generators, plain attributes
    and lists. Tensors outside modules and optimizers are taken to be data, which nobody changes.
    """
    with process_state():
        undo = [*_global_generators(), *_remember(objects)]
        try:
            yield Kept(undo)
        finally:
            for back in reversed(undo):
                back()


def _global_generators() -> Iterator[Undo]:
    yield functools.partial(random.setstate, random.getstate())
    yield functools.partial(np.random.set_state, np.random.get_state())
    yield functools.partial(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield functools.partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())


def _remember(roots: Any) -> Iterator[Undo]:
    tensors: set[int] = set()  # an optimizer holds those of a module: their values are kept once
    for thing in walk(roots):
        if isinstance(thing, torch.Generator):
            yield functools.partial(thing.set_state, thing.get_state())
        elif isinstance(thing, np.random.Generator):
            yield functools.partial(_set_bits, thing, copy.deepcopy(thing.bit_generator.state))
        elif isinstance(thing, np.random.RandomState):
            yield functools.partial(thing.set_state, thing.get_state())
        elif isinstance(thing, random.Random):
            yield functools.partial(thing.setstate, thing.getstate())
        elif isinstance(thing, nn.Module):
            yield from _of_module(thing, tensors)
        elif isinstance(thing, torch.optim.Optimizer):
            yield from _of_optimizer(thing, tensors)
        elif isinstance(thing, list):
            yield functools.partial(thing.__setitem__, slice(None), thing.copy())
        elif isinstance(thing, dict):
            yield functools.partial(_refill, thing, thing.copy())
        elif isinstance(thing, types.FunctionType):
            for cell in filter(_filled, thing.__closure__ or ()):
                yield functools.partial(setattr, cell, "cell_contents", cell.cell_contents)
        elif hasattr(thing, "__dict__") and not callable(thing):
            yield functools.partial(_refill, vars(thing), vars(thing).copy())


def _set_bits(generator: np.random.Generator, state: Any) -> None:
    generator.bit_generator.state = state


def _refill(target: dict[Any, Any], kept: dict[Any, Any]) -> None:
    if target.keys() != kept.keys() or any(target[k] is not v for k, v in kept.items()):
        target.clear()
        target.update(kept)


def _of_module(module: nn.Module, known: set[int]) -> Iterator[Undo]:
    """One module without its children: they are met on the walk."""
    yield functools.partial(_refill, vars(module), vars(module).copy())
    for table in (module._parameters, module._buffers):
        yield functools.partial(_refill, table, table.copy())
        for tensor in table.values():
            if tensor is not None:
                yield from _of_tensor(tensor, known)


def _of_tensor(tensor: Tensor, known: set[int]) -> Iterator[Undo]:
    """known: the ids of those that are kept already; they live as long as what keeps them."""
    if isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
        return
    if id(tensor) in known:
        return
    known.add(id(tensor))
    yield _Values(tensor)
    if tensor.is_leaf:
        yield functools.partial(tensor.requires_grad_, tensor.requires_grad)
        grad = tensor.grad
        if grad is not None:
            yield _Values(grad)
        yield functools.partial(setattr, tensor, "grad", grad)


def _of_optimizer(optimizer: torch.optim.Optimizer, known: set[int]) -> Iterator[Undo]:
    for group in optimizer.param_groups:
        yield functools.partial(_refill, group, group.copy())
        for parameter in group["params"]:
            yield from _of_tensor(parameter, known)
    yield functools.partial(_refill, optimizer.state, dict(optimizer.state))
    for kept in optimizer.state.values():
        yield functools.partial(_refill, kept, kept.copy())
        for value in kept.values():
            if isinstance(value, Tensor):
                yield from _of_tensor(value, known)


def walk(roots: Any) -> Iterator[Any]:
    """Every object that can be reached and may hold state, once; not into data."""
    visited: set[int] = set()
    kept: list[Any] = []  # ids stay unique while the objects live
    front: list[tuple[Any, int]] = [(root, 0) for root in roots]
    while front:
        thing, depth = front.pop()
        if (
            isinstance(thing, (*_ATOMS, Tensor, np.ndarray))
            or id(thing) in visited
            or depth > _DEPTH
        ):
            continue
        visited.add(id(thing))
        kept.append(thing)
        yield thing
        front += [(part, depth + 1) for part in _parts(thing)]


def _parts(thing: Any) -> list[Any]:
    match thing:
        case list() | tuple() | set() | frozenset():
            return list(thing) if len(thing) <= _WIDTH else []
        case dict():
            return list(thing.values()) if len(thing) <= _WIDTH else []
        case nn.Module():
            return [*thing._modules.values(), *vars(thing).values()]
        case torch.optim.Optimizer():
            return []
        case types.FunctionType():
            cells = [cell.cell_contents for cell in thing.__closure__ or () if _filled(cell)]
            return [*cells, *(thing.__defaults__ or ()), *_named_globals(thing)]
        case types.MethodType():
            return [thing.__self__, thing.__func__]
        case functools.partial():
            return [thing.func, thing.args, thing.keywords]
    return list(vars(thing).values()) if hasattr(thing, "__dict__") else []


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _named_globals(function: types.FunctionType) -> list[Any]:
    """Modules, optimizers and generators that a function's code names."""
    holders = (nn.Module, torch.optim.Optimizer, torch.Generator, np.random.Generator)
    named = (function.__globals__.get(name) for name in function.__code__.co_names)
    return [value for value in named if isinstance(value, (*holders, random.Random))]


def copied(*objects: Any) -> tuple[Any, ...] | None:
    """Deep copies that keep what the objects share, or None if one cannot be copied cheaply."""
    bytes_, count = 0, 0
    for thing in walk(objects):
        values = _values(thing)
        count += 1 + len(values)
        bytes_ += sum(v.nbytes for v in values if isinstance(v, (Tensor, np.ndarray)))
    if bytes_ > _COPIED_BYTES or count > _COPIED_OBJECTS:
        return None
    return deep(*objects)


def _values(thing: Any) -> list[Any]:
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (list, tuple, set)):
        return list(thing)
    return list(vars(thing).values()) if hasattr(thing, "__dict__") else []


def deep(*objects: Any) -> tuple[Any, ...] | None:
    """Deep copies that keep what the objects share, or None if that is not possible."""
    try:
        with foreign:
            return copy.deepcopy(objects, _empty_hooks(objects))
    except Exception as error:  # anybody's __deepcopy__, __reduce__ or C object
        swallow(error)
        return None


def _empty_hooks(objects: tuple[Any, ...]) -> dict[int, Any]:
    """Copies of the empty tables of hooks, ten a module: half the time of a small net's copy."""
    return {
        id(table): OrderedDict()
        for thing in objects
        if isinstance(thing, nn.Module)
        for module in thing.modules()
        for table in vars(module).values()
        if type(table) is OrderedDict and not table
    }
