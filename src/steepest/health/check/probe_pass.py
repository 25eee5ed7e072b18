"""One batch forward and backward on a copy, and what each layer was fed and gave."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.autograd_graph import PASSED, graph_nodes, head_node
from steepest.health.foreign import foreign, mark
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import (
    Setup,
    first_tensor,
)


@dataclass
class LayerSignal:
    """What a module with weights, or an activation, was fed and gave on the probe rows.

    scale_in, scale_out: mean over units of the deviation across samples. zero_units: share of
    input units (columns, channels) that are 0 in every row and place, if a gradient flows there.
    saturated: share of inputs of a tanh or sigmoid that lie at its bounds.
    """

    name: str
    module: nn.Module
    scale_in: float = math.nan
    scale_out: float = math.nan
    zero_units: float = 0.0
    units: int = 0
    fed_by: str = ""
    saturated: float = 0.0
    calls: int = 0

    @property
    def weight(self) -> Tensor | None:
        """Its matrix or kernel, if it has one."""
        weight = getattr(self.module, "weight", None)
        return weight if isinstance(weight, Tensor) and weight.ndim >= 2 else None

    @property
    def gain(self) -> float:
        """How many times as large the signal is behind it."""
        return self.scale_out / self.scale_in if self.scale_in > 0 else math.nan


@dataclass
class ProbePass:
    """One forward and backward pass in train mode on the probe rows, on a copy.

    leaves: tensors that want a gradient. used_by: id of a leaf -> functions that take it.
    """

    setup: Setup
    output: Any
    logits: Tensor
    loss: float
    grads: dict[str, Tensor | None]
    signals: dict[str, LayerSignal]
    leaves: list[Tensor]
    used_by: dict[int, set[str]]


def unit_scale(x: Tensor) -> float:
    """Mean over units of the deviation across samples: biases do not count as signal."""
    x = x.detach()
    if x.ndim < 2 or len(x) < 2:
        return math.nan
    # In float32 and by its definition: Tensor.std over the rows takes eight times as long.
    x = (x if x.dtype == torch.float64 else x.float()).flatten(1)
    return float((x - x.mean(0)).square_().mean(0).sqrt_().mean(dtype=torch.float64))


def run_pass(setup: Setup, batch: Batch) -> ProbePass | None:
    """None if the setup cannot be copied. Raises what the user's own code raises."""
    clone = setup.copy()
    if clone is None:
        return None
    clone.model.train()
    clone.model.zero_grad(set_to_none=True)
    seed_generators(0)
    signals: dict[str, LayerSignal] = {}
    with _listening(clone.model, signals):
        output = clone.outputs(batch)
    logits = first_tensor(output)
    if logits is None:
        kind = type(output).__name__
        raise mark(TypeError(f"the model returned a {kind} that holds no tensor"))
    loss = clone.loss_of(output, batch.target, batch.weights)
    leaves: list[Tensor] = []
    used_by: dict[int, set[str]] = {}
    if loss.requires_grad:
        nodes = list(graph_nodes(loss.grad_fn))
        leaves = [node.variable for node in nodes if hasattr(node, "variable")]
        used_by = _used_by(nodes)
        with foreign:
            loss.backward()  # type: ignore[no-untyped-call]
    grads = {
        name: p.grad.to_dense() if p.grad is not None and p.grad.is_sparse else p.grad
        for name, p in clone.model.named_parameters()
        if p.requires_grad
    }
    value = float(loss.detach())
    _share_weights(clone.model, setup.model)
    return ProbePass(clone, output, logits, value, grads, signals, leaves, used_by)


def _share_weights(clone: nn.Module, of: nn.Module) -> None:
    """Let a copy that takes no more passes hold the weights that it is a copy of, not twice.

    Of those that the pass itself has written to, it keeps its own.
    """
    with torch.no_grad():
        for p, q in zip(clone.parameters(), of.parameters(), strict=False):
            plain = type(p) is type(q) is nn.Parameter and p.layout == q.layout == torch.strided
            if plain and p.dtype == q.dtype and p.device == q.device and torch.equal(p, q):
                p.data = q.data


def _used_by(nodes: list[Any]) -> dict[int, set[str]]:
    """The functions that take each leaf, seen through views and transposes of it."""
    children: dict[Any, list[Any]] = {}
    for node in nodes:
        for parent, _ in node.next_functions:
            children.setdefault(parent, []).append(node)
    functions: dict[int, set[str]] = {}
    for leaf in (node for node in nodes if hasattr(node, "variable")):
        front, names = list(children.get(leaf, ())), set()
        while front:
            node = front.pop()
            if node.name().startswith(PASSED):
                front += children.get(node, ())
            else:
                names.add(node.name().partition("Backward")[0])
        functions[id(leaf.variable)] = names
    return functions


@contextmanager
def _listening(model: nn.Module, signals: dict[str, LayerSignal]) -> Iterator[None]:
    """Fill signals from what modules without children are fed and give."""
    handles = []
    for name, module in model.named_modules():
        if next(module.children(), None) is None or any(True for _ in module.parameters(False)):
            handles.append(module.register_forward_hook(_listener(name, signals)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _listener(name: str, signals: dict[str, LayerSignal]) -> Callable[..., None]:
    def listen(module: nn.Module, args: Any, output: Any) -> None:
        signal = signals.setdefault(name, LayerSignal(name, module))
        signal.calls += 1
        x, z = first_tensor(args), first_tensor(output)
        if signal.calls > 1 or x is None or z is None:
            return
        with torch.no_grad():
            if x.is_floating_point():
                signal.scale_in = unit_scale(x)
                _measure_units(signal, x)
            signal.scale_out = unit_scale(z)

    return listen


def _measure_units(signal: LayerSignal, x: Tensor) -> None:
    """Dead units and saturation in what a layer is fed, named by the function that made it."""
    if not x.requires_grad or x.ndim < 2:
        return
    signal.fed_by = _activation_before(x)
    axis = 1 if x.ndim == 4 or isinstance(signal.module, nn.Conv1d) else x.ndim - 1
    by_unit = x.detach().movedim(axis, 0).flatten(1)
    signal.units = len(by_unit)
    signal.zero_units = float((by_unit == 0).all(1).float().mean())
    if signal.fed_by == "Tanh":
        signal.saturated = float((by_unit.abs() > 0.99).float().mean())
    elif signal.fed_by == "Sigmoid":
        signal.saturated = float(((by_unit < 0.01) | (by_unit > 0.99)).float().mean())


def _activation_before(x: Tensor) -> str:
    """The function that made an input, seen through pooling and dropout, not through a gate.

    A gate multiplies two things that want a gradient: its product has no bounds to lie at.
    """
    node = head_node(x)
    while node is not None:
        name = node.name().partition("Backward")[0]
        through = ("MaxPool", "AvgPool", "AdaptiveAvgPool", "NativeDropout", "Mul", *PASSED)
        made_of = [parent for parent, _ in node.next_functions if parent is not None]
        if not name.startswith(through) or len(made_of) != 1:
            return str(name)
        node = made_of[0]
    return ""
