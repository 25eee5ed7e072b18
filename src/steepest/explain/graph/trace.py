"""Tracing: what a function of tensors computes, operation by operation, with its gradients.

A TorchFunctionMode sees every torch function and tensor method that Python calls, indexing and
operators included, with the tensors themselves. Each argument is replaced by an alias, so that the
gradient that flows along each single edge can be told apart.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from steepest.explain.graph.describe import describe, function_name, non_default

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

Array = NDArray[Any]

# Methods that change their tensor and do not end in one underscore.
_IN_PLACE = {"__setitem__"} | {f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "pow")}
# What gives tensors that are no part of a computation.
_NOT_STEPS = {"grad", "data", "requires_grad_", "retain_grad", "register_hook"}


@dataclass(eq=False)
class GraphNode:
    """One value of the computation.

    operation: the function's name, or "" of what goes in. label: as it is drawn. arguments: its
    expression in plain characters, with {0}, {1} for the nodes that go in. value: its numbers,
    None for a tuple of tensors. gradient: d output / d value, None where autograd sends nothing.
    modules: the calls of modules that it happened in, outermost first.
    """

    number: int
    operation: str
    label: str
    expression: str
    value: Array | None
    gradient: Array | None = None
    kind: str = "operation"
    modules: tuple[str, ...] = ()
    tensor: Tensor | None = None


@dataclass(eq=False)
class GraphEdge:
    """A use of one value by one operation. gradient: what flows back along this edge alone."""

    source: GraphNode
    target: GraphNode
    gradient: Array | None = None


@dataclass(eq=False)
class Trace:
    """All nodes in the order in which they were computed, and the edges between them."""

    nodes: list[GraphNode] = field(default_factory=list)
    edges: list[GraphEdge] = field(default_factory=list)


class NotAScalarError(Exception):
    """The function gave something else than one number: a shape, or the name of a type."""


class _Recorder(TorchFunctionMode):
    """Sees every torch function while it is entered, and adds a node for each.

    trace: what was recorded. stack: the module calls that are under way, outermost first. handles:
    hooks on tensors, to be removed at the end. A tensor is known again by its identity (`_nodes`)
    or, as a view or an alias of one, by the autograd function that made it (`_functions`); so that
    no identity is given out twice, every tensor that was seen is kept (`_alive`). `_items`: the
    tensor of each index that was read, and the version of its source, so that x[0] is one node
    until x is changed in place. An argument is replaced by a view of itself (`replaced`), whose
    gradient is that of this one use: that is how edges get gradients of their own.
    """

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self.trace = Trace()
        self.stack: list[str] = []
        self.handles: list[RemovableHandle] = []
        self._names = names
        self._nodes: dict[int, GraphNode] = {}
        self._functions: dict[Any, GraphNode] = {}
        self._items: dict[tuple[Any, ...], tuple[int, Tensor]] = {}
        self._alive: list[Any] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        private = name.startswith("_") and not name.startswith("__")
        if name in _NOT_STEPS or private:
            return func(*args, **kwargs)
        if name == "__getitem__" and (item := self._known_item(args)) is not None:
            return item
        in_place = name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))
        edges: list[tuple[GraphNode, Tensor]] = []

        def replaced(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            node = self.node_of(leaf)
            alias = leaf if in_place or not leaf.requires_grad else leaf.view_as(leaf)
            edges.append((node, alias))
            return alias

        spec = pytree.tree_structure((args, kwargs))
        leaves = [replaced(leaf) for leaf in pytree.tree_leaves((args, kwargs))]
        new_args, new_kwargs = pytree.tree_unflatten(leaves, spec)
        output = func(*new_args, **new_kwargs)
        result = args[0] if name == "__setitem__" else output
        tensors = [t for t in pytree.tree_leaves(result) if isinstance(t, Tensor)]
        if not tensors or not edges:
            return output
        label, expression = describe(name, args, non_default(func, kwargs))
        self._record(name, label, expression, result, edges, in_place)
        if name == "__getitem__" and isinstance(output, Tensor):
            self._items[self._item_key(args)] = (args[0]._version, output)
        return output

    def node_of(self, tensor: Tensor) -> GraphNode:
        """The node of a tensor; one that was not seen yet is a parameter, constant or foreign."""
        known = self._nodes.get(id(tensor))
        function = None if tensor.grad_fn is None else (tensor.grad_fn, tensor.output_nr)
        # A view changes its function when what it looks at is changed in place.
        if known is not None and (function is None or self._functions.get(function) is known):
            return known
        if function is not None:
            return self._functions.get(function) or self._foreign(tensor)
        name = self._names.get(id(tensor), "")
        kind = "parameter" if tensor.requires_grad else "constant"
        return self.add("", name or kind, name or kind, tensor, kind)

    def add(
        self, operation: str, label: str, expression: str, tensor: Tensor | None, kind: str
    ) -> GraphNode:
        node = GraphNode(
            len(self.trace.nodes), operation, label, expression, None, None, kind, tuple(self.stack)
        )
        self.trace.nodes.append(node)
        if tensor is not None:
            self.attach(node, tensor)
        return node

    def attach(self, node: GraphNode, tensor: Tensor) -> None:
        """From now on this tensor is the node's value."""
        with torch._C.DisableTorchFunction():
            node.value = _numbers(tensor)
            node.tensor = tensor
            if tensor.requires_grad:
                self.handles.append(tensor.register_hook(lambda g: _add_gradient(node, g)))  # type: ignore[no-untyped-call]
            if tensor.grad_fn is not None:
                self._functions[tensor.grad_fn, tensor.output_nr] = node
        self._nodes[id(tensor)] = node
        self._alive.append(tensor)  # so that its id stays its own

    def _record(
        self,
        name: str,
        label: str,
        expression: str,
        result: Any,
        inputs: list[tuple[GraphNode, Tensor]],
        in_place: bool,
    ) -> None:
        if isinstance(result, Tensor):
            node = self.add(name, label, expression, result, "operation")
        else:
            node = self.add(name, label, expression, None, "operation")
        for source, alias in inputs:
            self.edge(source, node, None if in_place else alias)
        if isinstance(result, Tensor):
            return
        for i, part in enumerate(pytree.tree_leaves(result)):
            if isinstance(part, Tensor) and part.is_floating_point():
                item = self.add("__getitem__", f"[{i}]", f"{{0}}[{i}]", part, "operation")
                self.edge(node, item, part)

    def edge(self, source: GraphNode, target: GraphNode, alias: Tensor | None) -> None:
        edge = GraphEdge(source, target)
        self.trace.edges.append(edge)
        if alias is not None and alias.requires_grad:
            with torch._C.DisableTorchFunction():
                alias.register_hook(lambda g: _add_gradient(edge, g))  # type: ignore[no-untyped-call]
            self._alive.append(alias)

    def _foreign(self, tensor: Tensor) -> GraphNode:
        """An operation that Python's functions did not show, as a torch.autograd.Function."""
        assert tensor.grad_fn is not None
        name = tensor.grad_fn.name().removesuffix("Backward").removesuffix("Backward0")
        sources: list[GraphNode] = []
        seen, waiting = set(), [tensor.grad_fn]
        while waiting:
            function = waiting.pop()
            for earlier, output in function.next_functions:
                if earlier is None or (earlier, output) in seen:
                    continue
                seen.add((earlier, output))
                leaf = getattr(earlier, "variable", None)
                if (earlier, output) in self._functions:
                    sources.append(self._functions[earlier, output])
                elif isinstance(leaf, Tensor):
                    sources.append(self.node_of(leaf))
                else:
                    waiting.append(earlier)
        arguments = ", ".join(f"{{{i}}}" for i in range(len(sources)))
        node = self.add(name, name, f"{name}({arguments})", tensor, "operation")
        for source in sources:
            self.edge(source, node, None)
        return node

    def _known_item(self, args: tuple[Any, ...]) -> Tensor | None:
        """x[0] for the second time is the same node as for the first."""
        item = self._items.get(self._item_key(args))
        return item[1] if item and item[0] == args[0]._version else None

    def _item_key(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (id(args[0]), repr(args[1]) if not _holds_tensor(args[1]) else id(args))


def trace(
    function: Callable[..., Any],
    inputs: dict[str, Tensor],
    *,
    modules: nn.Module | None = None,
    constants: dict[str, Tensor] | None = None,
) -> tuple[Trace, Tensor]:
    """Call the function on the inputs, record it, and send the gradient of its output back.

    inputs: by the names that they are drawn with; those of floating point get a gradient. modules:
    whose parameters and buffers are known by their names. constants: other tensors with a name.
    Returns the trace and the output; raises
    NotAScalarError if that is no scalar.
    """
    names = {id(t): name for name, t in (constants or {}).items()}
    if modules is not None:
        names |= {id(t): name for name, t in modules.named_parameters()}
        names |= {id(t): name for name, t in modules.named_buffers()}
    recorder = _Recorder(names)
    for name, tensor in inputs.items():
        recorder.add("", name, name, tensor, "input" if tensor.requires_grad else "constant")
    try:
        with recorder, _calls_of_modules(recorder, modules):
            output = function(*inputs.values())
        return _backward(recorder, output), output
    finally:
        for handle in recorder.handles:  # those on tensors that are the caller's own
            handle.remove()


def _backward(recorder: _Recorder, output: Any) -> Trace:
    """Send the gradient back, and leave out what the output does not come from."""
    if not isinstance(output, Tensor) or output.numel() != 1:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise NotAScalarError(shape)
    last = recorder.node_of(output)
    if output.requires_grad:
        leaves = [
            node.tensor
            for node in recorder.trace.nodes
            if node.tensor is not None and node.tensor.is_leaf and node.tensor.requires_grad
        ]
        torch.autograd.grad(output.sum(), leaves, allow_unused=True)
    last.gradient = np.ones_like(last.value)
    return _needed(recorder.trace, last)


def _needed(trace: Trace, last: GraphNode) -> Trace:
    """The inputs, and what the last node comes from."""
    wanted = {last.number}
    for edge in sorted(trace.edges, key=lambda edge: -edge.target.number):
        if edge.target.number in wanted:
            wanted.add(edge.source.number)
    return Trace(
        [n for n in trace.nodes if n.number in wanted or n.kind == "input"],
        [e for e in trace.edges if e.target.number in wanted],
    )


@contextmanager
def _calls_of_modules(recorder: _Recorder, known: nn.Module | None) -> Iterator[None]:
    """Keep the stack of module calls that are under way."""
    names = {} if known is None else {id(m): name for name, m in known.named_modules()}
    counts: dict[str, int] = {}

    def enter(module: nn.Module, _: Any) -> None:
        kind = type(module).__name__
        name = f"{names[id(module)]} ({kind})" if names.get(id(module)) else kind
        counts[name] = counts.get(name, 0) + 1
        recorder.stack.append(name if counts[name] == 1 else f"{name} #{counts[name]}")

    def leave(_: nn.Module, __: Any, ___: Any) -> None:
        recorder.stack.pop()

    handles = [
        torch_module.register_module_forward_pre_hook(enter),
        torch_module.register_module_forward_hook(leave),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _numbers(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().to(torch.float64).numpy().copy()
    return array


def _add_gradient(holder: GraphNode | GraphEdge, gradient: Tensor) -> None:
    with torch._C.DisableTorchFunction():
        value = _numbers(gradient)
    holder.gradient = value if holder.gradient is None else holder.gradient + value


def _holds_tensor(index: Any) -> bool:
    return any(isinstance(leaf, (Tensor, np.ndarray)) for leaf in pytree.tree_leaves(index))
