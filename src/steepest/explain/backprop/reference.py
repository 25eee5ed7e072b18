"""The reference of a ledger: what PyTorch computes in float64, module by module."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steepest.engine import process_state
from steepest.errors import ModelError
from steepest.explain.backprop.entry import Array


@dataclass(eq=False)
class Call:
    """One call of one module: what went in, what came out, and dL/d of both after `backward`."""

    name: str
    module: nn.Module
    input: Tensor | None
    output: Tensor
    gradients: dict[str, Array] = field(default_factory=dict)

    @property
    def output_value(self) -> Array:
        return array_of(self.output)

    @property
    def output_gradient(self) -> Array | None:
        return self.gradients.get("output")

    @property
    def input_gradient(self) -> Array | None:
        return self.gradients.get("input")


@dataclass(eq=False)
class Reference:
    """A forward pass of a copy of the model. calls: in the order in which the modules ended."""

    model: nn.Module
    inputs: Tensor
    outputs: Tensor
    calls: list[Call]

    def of(self, module: nn.Module) -> Call:
        """The next call of this module; each is given out once."""
        for i, call in enumerate(self.calls):
            if call.module is module:
                return self.calls.pop(i)
        raise AssertionError("a module of the chain was not called")


def array_of(tensor: Tensor) -> Array:
    """The tensor's numbers in float64."""
    return tensor.detach().to("cpu", torch.float64).numpy().copy()


def run(model: nn.Module, x: Any, *, training: bool) -> Reference:
    """Run a float64 copy of the model on x, with every module's inputs and outputs kept.

    Raises ModelError if the model cannot take x. The model itself is not touched, and torch's
    random generator is left as it was.
    """
    trial = copy.deepcopy(model).to("cpu")
    floating = any(p.is_floating_point() for p in trial.parameters())
    trial = trial.double().train(training)
    for module in trial.modules():
        if getattr(module, "inplace", None) is True:
            module.inplace = False  # type: ignore[assignment]
    for parameter in trial.parameters():
        parameter.grad = None
    inputs = _inputs(x, trial)
    calls: list[Call] = []
    # A module may change its input in place: it is given a copy of ours.
    fed = inputs.clone() if floating else inputs
    try:
        with _watched(trial, calls), process_state():
            outputs = trial(fed)
    except Exception as error:
        raise ModelError(
            f"the model cannot take inputs of shape {tuple(inputs.shape)}, {inputs.dtype}: {error}"
        ) from error
    if not isinstance(outputs, Tensor):
        raise ModelError(
            f"the model must give a tensor of logits, but gives a {type(outputs).__name__}"
        )
    return Reference(trial, inputs, outputs, calls)


def _inputs(x: Any, model: nn.Module) -> Tensor:
    tensor = x.detach().cpu() if isinstance(x, Tensor) else torch.as_tensor(np.asarray(x))
    takes_indices = any(isinstance(m, (nn.Embedding, nn.EmbeddingBag)) for m in model.modules())
    if takes_indices and not tensor.is_floating_point():
        return tensor.long()
    return tensor.double().clone().requires_grad_()


@contextmanager
def _watched(model: nn.Module, calls: list[Call]) -> Iterator[None]:
    """While it is open, every call of every module is appended to `calls`.

    Each call is given an alias of its input, so that what flows back through it is told apart from
    what flows back through others that use the same tensor.
    """
    under_way: list[tuple[Tensor | None, Tensor | None]] = []

    def enter(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        given = next((t for t in (*inputs, *named.values()) if isinstance(t, Tensor)), None)
        alias = None if given is None else given.view_as(given)
        under_way.append((given, alias))
        return (
            tuple(alias if t is given and alias is not None else t for t in inputs),
            {k: alias if t is given and alias is not None else t for k, t in named.items()},
        )

    def leave(name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, _: Any, output: Any) -> Any:
            given, alias = under_way.pop()
            if output is alias and alias is not None:
                output = alias.view_as(alias)  # else the two would share their gradient
            first = output[0] if isinstance(output, (tuple, list)) and output else output
            if isinstance(first, Tensor):
                call = Call(name, module, given, first)
                _keep_gradient(first, call, "output")
                if alias is not None:
                    _keep_gradient(alias, call, "input")
                calls.append(call)
            return output

        return hook

    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keep_gradient(tensor: Tensor, call: Call, what: str) -> None:
    if tensor.requires_grad:
        tensor.register_hook(lambda g: call.gradients.__setitem__(what, array_of(g)))  # type: ignore[no-untyped-call]
