"""The calls that a module's own `forward` makes, found by running it without numbers.

It runs on tensors of torch's meta device, which have shapes alone. A mode of torch functions notes
each call of a function, and stand-ins for the modules within note theirs: torch's own and ours are
one call, whatever they do inside; nn.Sequential and what has a forward of somebody's own run.
Values are numbered; a change in place gives the same tensor a new number. What else a forward may
do, so that leaving it out would be a difference, is looked for: attributes that it sets, random
numbers, gradients turned off, results that are not tensors.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steepest.engine.functions import KEEPING_SHAPE, Function, function_of
from steepest.engine.masks import DROPPING
from steepest.engine.nodes import Dims, Obstacle, oddity_of, within
from steepest.nn import ACTIVATIONS

_OF_TORCH = frozenset(vars(nn.Module()))
# What an attribute may be, and its parts: all that a forward can do to it is to set it anew.
_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, np.generic, torch.Size, torch.dtype),
    *(torch.device, FunctionType, BuiltinFunctionType, type),
)
# Modules whose rows have the shape that they had. On the meta device many are slow to run.
_KEEPING_SHAPE = frozenset(
    (*ACTIVATIONS.values(), nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, *DROPPING)
)
_QUESTIONS = frozenset(("size", "dim", "ndimension", "numel", "__len__", "__get__", "stride"))


@dataclass(frozen=True)
class Call:
    """A call that made a value of others.

    Attributes:
        name: Of the child as in `named_modules`, or of the function.
        inputs: The numbers of the values; 0 is the module's input, and -1 no value of the forward.
        output: The number of the value that it made.
        dims: Of a row of that; None if the rows are not its first dimension.
        settings: What it was given beside the values.
        does: The child, or what the function does; None if that is not known.
    """

    name: str
    inputs: tuple[int, ...]
    output: int
    dims: Dims | None
    settings: str = ""
    does: nn.Module | Function | None = field(default=None, compare=False)


def is_own(module: nn.Module) -> bool:
    """Whether its class is somebody's own, neither torch's nor ours."""
    return type(module).__module__.partition(".")[0] not in ("torch", "steepest")


def calls_of(
    module: nn.Module, dims: Dims, where: str, *, batch: int, training: bool
) -> tuple[tuple[Call, ...], int]:
    """The calls of one forward pass in their order, and the number of the value that it gives.

    Args:
        module: It is neither run itself nor changed.
        dims: Of a row.
        where: The module's name in messages.
        batch: How many rows.
        training: Whether it is in training mode.

    Raises:
        Obstacle: In one line, if it cannot be run so, or does more than give a value.
    """
    for name, child in module.named_modules():
        if oddity := oddity_of(child):
            raise Obstacle(f"module {name!r} in {where} {oddity}")
        if type(child).__call__ is not nn.Module.__call__:
            raise Obstacle(f"module {name!r} in {where} has a __call__ of its own")
    recorder = _Recorder(torch.empty((batch, *dims), device="meta"), where)
    root = recorder.stand_in(module, "", training)
    try:
        with _generators_at_rest(where), torch.enable_grad(), recorder:
            given = type(module).forward(root, recorder.start)
    except Obstacle:
        raise
    except Exception as error:  # whatever somebody's own code may raise
        reason = str(error).strip().partition("\n")[0]
        raise Obstacle(
            f"{where} has a forward that asks for numbers, or fails on rows of shape {dims} "
            f"({type(error).__name__}: {reason})"
        ) from error
    recorder.require_nothing_set()
    if not isinstance(given, Tensor) or id(given) not in recorder.values:
        raise Obstacle(f"{where} has a forward that does not give one tensor made of its input")
    return tuple(recorder.calls), recorder.values[id(given)]


class _Recorder(TorchFunctionMode):
    """Notes the calls of a forward pass; `where` is the name of its module in messages."""

    def __init__(self, start: Tensor, where: str) -> None:
        super().__init__()
        self.start = start
        self.calls: list[Call] = []
        self.values = {id(start): 0}  # the number of the value that a tensor has now
        self._tensors = [start]  # kept, so that no id is given twice
        self._where, self._batch = where, len(start)
        self._stand_ins: dict[int, nn.Module] = {}
        self._watched: list[tuple[nn.Module, nn.Module]] = []  # of own classes, and their stand-ins
        self._inside = False  # of a child, whose own calls are not noted

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name in KEEPING_SHAPE and args and isinstance(args[0], Tensor) and "out" not in kwargs:
            in_place = name.endswith("_") or kwargs.get("inplace")
            result = args[0] if in_place else torch.empty_like(args[0])
        else:
            result = func(*args, **kwargs)
        if self._inside or (name in _QUESTIONS and not isinstance(result, Tensor)):
            return result
        if not isinstance(result, Tensor) or not torch.is_grad_enabled():
            what = f"calls {name}" if torch.is_grad_enabled() else "turns gradients off"
            raise Obstacle(f"{self._where} has a forward that {what}")
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        does = function_of(name, args, kwargs, result)
        if does is Function.NOTHING:
            return result
        inputs = tuple(self.values.get(id(t), -1) for t in tensors)
        self.calls.append(Call(name, inputs, *self._made(result), repr(does), does))
        return result

    def stand_in(self, module: nn.Module, name: str, training: bool) -> nn.Module:
        """A module on the meta device that notes when it is called.

        It has the class and the attributes of the other, since a forward may look at these. What
        has a forward of its own, and Sequential, notes nothing: what it calls does.
        """
        if id(module) in self._stand_ins:
            return self._stand_ins[id(module)]
        stand_in = self._stand_ins[id(module)] = type(module).__new__(type(module))
        own = vars(stand_in)
        own |= {key: _copied(value) for key, value in vars(module).items()}
        if is_own(module):
            self._require_plain(own)
            self._watched.append((module, stand_in))
        own["training"] = training
        for kind in ("_parameters", "_buffers"):
            own[kind] = {key: _on_meta(tensor) for key, tensor in vars(module)[kind].items()}
        own["_modules"] = {
            key: child and self.stand_in(child, within(name, key), training)
            for key, child in module._modules.items()
        }
        if not is_own(module) and type(module) not in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
            own["forward"] = partial(self._call_child, name, module, stand_in)
        return stand_in

    def _call_child(
        self, name: str, module: nn.Module, stand_in: nn.Module, *args: Any, **kwargs: Any
    ) -> Any:
        inside, self._inside = self._inside, True
        try:
            if type(module) in _KEEPING_SHAPE and len(args) == 1 and not kwargs:
                in_place = getattr(module, "inplace", False) and type(module) not in DROPPING
                result = args[0] if in_place else torch.empty_like(args[0])
            else:
                result = type(module).forward(stand_in, *args, **kwargs)
        finally:
            self._inside = inside
        if inside:
            return result
        takes_one = len(args) == 1 and not kwargs and isinstance(args[0], Tensor)
        if not takes_one or not isinstance(result, Tensor) or not torch.is_grad_enabled():
            raise Obstacle(
                f"{self._where} calls {name!r} with or for other than one tensor, or without "
                "gradients"
            )
        inputs = (self.values.get(id(args[0]), -1),)
        self.calls.append(Call(name, inputs, *self._made(result), does=module))
        return result

    def _made(self, result: Tensor) -> tuple[int, Dims | None]:
        number = self.values[id(result)] = len(self._tensors)
        self._tensors.append(result)
        of_rows = result.ndim > 0 and len(result) == self._batch and result.dtype == torch.float32
        return number, tuple(result.shape[1:]) if of_rows else None

    def _require_plain(self, attributes: dict[str, Any]) -> None:
        for key, value in attributes.items():
            if key not in _OF_TORCH and not _is_plain(value):
                raise Obstacle(
                    f"{self._where} keeps a {type(value).__name__} in {key}, which its forward may "
                    "change"
                )

    def require_nothing_set(self) -> None:
        """A forward that keeps something for later would not if it were not run."""
        for module, stand_in in self._watched:
            before, after = vars(module), vars(stand_in)
            for key in (before.keys() | after.keys()) - _OF_TORCH - {"forward"}:
                if key not in before or key not in after or after[key] != before[key]:
                    raise Obstacle(f"{self._where} has a forward that sets {key}")


def _copied(value: Any) -> Any:
    return value.copy() if type(value) in (list, set, dict) else value


def _on_meta(tensor: Tensor | None) -> Tensor | None:
    if tensor is None:
        return None
    there = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return nn.Parameter(there, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else there


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list, set, frozenset):
        return all(_is_plain(part) for part in value)
    if type(value) is dict:
        return all(_is_plain(part) for pair in value.items() for part in pair)
    return isinstance(value, _PLAIN)


@contextmanager
def _generators_at_rest(where: str) -> Iterator[None]:
    """Within the block nothing may be drawn from the global generators, whose states are kept."""
    of_python, of_numpy, of_torch = before = _states()
    try:
        yield
        if any(one != other for one, other in zip(before, _states(), strict=True)):
            raise Obstacle(f"{where} has a forward that draws random numbers")
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(torch.frombuffer(bytearray(of_torch), dtype=torch.uint8))


def _states() -> tuple[Any, Any, bytes]:
    name, keys, *rest = np.random.get_state()
    return random.getstate(), (name, tuple(keys), *rest), torch.get_rng_state().numpy().tobytes()
