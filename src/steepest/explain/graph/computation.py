"""graph(): the computational graph of a function, with values forward and gradients backward."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steepest.engine import process_state
from steepest.errors import ModelError, SteepestError
from steepest.explain.graph.describe import input_names
from steepest.explain.graph.svg import Box, Link, draw
from steepest.explain.graph.trace import Array, GraphEdge, GraphNode, NotAScalarError, trace
from steepest.explain.numbers import number
from steepest.explain.targets import objective_of, range_kept
from steepest.files import write_atomically

# As many boxes as can be read; above that, the calls of a module become one box.
MAX_BOXES = 60
# A tensor of so many elements is shown by its numbers, a larger one by its shape and its rms.
_FEW = 4


class Graph:
    """What a function computes: values forward, gradients backward.

    `str()` is text; in a notebook it is a picture; `save` writes it.

    Args:
        nodes: In the order in which they were computed; the last one is the output.
        edges: Uses of one value by one operation.
        title: What was called.
    """

    def __init__(self, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge], title: str) -> None:
        self.nodes = tuple(nodes)
        self.edges = tuple(edges)
        self.title = title
        self.names = _names(self.nodes, self.edges)

    @property
    def inputs(self) -> tuple[GraphNode, ...]:
        """Those of the nodes that the gradient is asked for."""
        return tuple(node for node in self.nodes if node.kind == "input")

    @property
    def output(self) -> GraphNode:
        """The function's value, the last node."""
        return self.nodes[-1]

    @property
    def value(self) -> float:
        """Of the function."""
        assert self.output.value is not None
        return float(self.output.value.reshape(-1)[0])

    @property
    def gradients(self) -> dict[str, Array]:
        """The gradient with respect to each input; zero where the output does not depend on it."""
        return {
            node.label: np.zeros_like(node.value) if node.gradient is None else node.gradient
            for node in self.inputs
            if node.value is not None
        }

    def drawn(self, max_boxes: int = MAX_BOXES) -> tuple[list[Box], list[Link]]:
        """What the picture shows.

        Args:
            max_boxes: With more nodes than these, each call of a module is one box.

        Returns:
            Boxes, and links between them by their numbers.
        """
        groups = _groups(self.nodes, max_boxes)
        members: dict[Any, list[GraphNode]] = {}
        for node in self.nodes:
            members.setdefault(groups[node.number], []).append(node)
        place = {key: i for i, key in enumerate(members)}
        boxes = [
            self._box(nodes[0]) if len(nodes) == 1 else self._group_box(str(key[0]), nodes)
            for key, nodes in members.items()
        ]
        links = []
        for edge in _between(self.edges, groups):
            ends = (groups[edge.source.number], groups[edge.target.number])
            links.append(Link(place[ends[0]], place[ends[1]], *_along(edge)))
        return boxes, links

    def svg(self, max_boxes: int = MAX_BOXES) -> str:
        """The picture.

        Args:
            max_boxes: How many boxes are drawn at most; where there are more nodes, the calls of a
                module become one box.

        Returns:
            The text of an SVG file, with colours for a light and a dark page.
        """
        return draw(*self.drawn(max_boxes), self.title)

    def save(self, path: str | Path) -> Path:
        """Write the graph to a file.

        Args:
            path: Ends in .svg or .txt, which says the format.

        Returns:
            The path.

        Raises:
            SteepestError: Another ending, or the file cannot be written.
        """
        path = Path(path)
        formats = {".svg": self.svg, ".txt": lambda: f"{self}\n"}
        if path.suffix not in formats:
            raise SteepestError(
                f"a graph is saved as {', '.join(formats)}, but the file is {path.name!r}"
            )
        write_atomically(path, formats[path.suffix]().encode())
        return path

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "title": self.title,
            "value": self.value,
            "gradients": {name: g.tolist() for name, g in self.gradients.items()},
            "nodes": [
                {
                    "name": self.names[node.number],
                    "expression": self._expression(node),
                    "kind": node.kind,
                    "module": " / ".join(node.modules),
                    "value": None if node.value is None else node.value.tolist(),
                    "gradient": None if node.gradient is None else node.gradient.tolist(),
                }
                for node in self.nodes
            ],
            "edges": [
                {
                    "from": self.names[edge.source.number],
                    "to": self.names[edge.target.number],
                    "gradient": None if edge.gradient is None else edge.gradient.tolist(),
                }
                for edge in self.edges
            ],
        }

    def __str__(self) -> str:
        rows = [("value of", "", "value", "gradient")]
        for node in self.nodes:
            name, expression = self.names[node.number], self._expression(node)
            equation = f"{name} = {expression}" if expression != name else name
            module = " / ".join(node.modules)
            rows.append((equation, module, short(node.value), short(node.gradient)))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True) if w).rstrip()
            for row in rows
        )

    def __repr__(self) -> str:
        return f"<Graph of {self.title}: {len(self.nodes)} nodes, value {number(self.value)}>"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _expression(self, node: GraphNode) -> str:
        sources = [self.names[e.source.number] for e in self.edges if e.target is node]
        try:
            return node.expression.format(*sources)
        except (IndexError, KeyError, ValueError):
            return f"{node.label}({', '.join(sources)})"

    def _box(self, node: GraphNode) -> Box:
        kind = node.kind + (" output" if node is self.output else "")
        name = node.label if node.operation else self.names[node.number]
        value = "" if node.value is None else short(node.value)
        gradient = "" if node.gradient is None else "∇ " + short(node.gradient)
        parts = [f"{self.names[node.number]} = {self._expression(node)}", f"value {value}"]
        parts += [f"gradient {gradient}"] * bool(gradient) + list(node.modules[-1:])
        return Box(name, value, gradient, kind, "\n".join(parts))

    def _group_box(self, name: str, nodes: list[GraphNode]) -> Box:
        """A module: what came out last, and how many operations are inside."""
        last = nodes[-1]
        if name == "operations":
            name = f"{self.names[nodes[0].number]} … {self.names[last.number]}"
        value = "" if last.value is None else short(last.value)
        gradient = "" if last.gradient is None else "∇ " + short(last.gradient)
        inside = sum(bool(node.operation) for node in nodes)
        kind = "group output" if last is self.output else "group"
        return Box(name, value, gradient, kind, f"{name}: {inside} operations")


def graph(f: Callable[..., Any], x: Any, y: Any = None, *, task: str = "auto") -> Graph:
    """The computational graph of a scalar function of tensors, or of a model and its loss.

    Any Python function of tensors will do: it is called once, and what it does with its tensors is
    recorded, indexing, loops and modules included.

    Args:
        f: A function, or a `torch.nn.Module`, which is copied and stays as it is.
        x: What f is called with: a tensor, an array, a list of numbers, or a tuple of these for
            several arguments.
        y: For a module that gives logits: the targets, as `backprop` takes them.
        task: As for `backprop`.

    Returns:
        The graph, with the gradient with respect to each input and parameter.

    Raises:
        ModelError: The output is not one number, or y is given for a function.

    >>> g = graph(lambda x: (x[0] + x[1]) ** 2, [2.0, 3.0])
    >>> g.value, g.gradients["x"].tolist()
    (25.0, [10.0, 10.0])
    """
    arguments = [_leaf(part) for part in (x if isinstance(x, tuple) else (x,))]
    model = copy.deepcopy(f) if isinstance(f, nn.Module) else None
    function: Callable[..., Any] = f if model is None else model
    names = input_names(f if model is None else None, len(arguments))
    constants: dict[str, Tensor] = {}
    if y is not None:
        if model is None:
            raise ModelError("y is for a torch.nn.Module; let a function work out its own loss")
        function, constants["y"] = _with_loss(model, arguments, y, task)
    inputs = dict(zip(names, arguments, strict=True))
    try:
        with process_state():
            traced, _ = trace(function, inputs, modules=model, constants=constants)
    except NotAScalarError as error:
        raise ModelError(
            f"the function must give one number, but gives {error}; "
            + ("pass y, so that its loss is drawn" if model else "take its sum or mean")
        ) from None
    title = type(f).__name__ if model is not None else getattr(f, "__name__", type(f).__name__)
    return Graph(traced.nodes, traced.edges, title if title != "<lambda>" else "f")


def short(array: Array | None) -> str:
    """A value in a few characters: 40, [17, 10, 0], or 4×7 rms 0.31 of a larger tensor."""
    if array is None:
        return ""
    if array.ndim == 0 or array.size == 1:
        return number(float(array.reshape(-1)[0]))
    if array.ndim == 1 and array.size <= _FEW:
        return f"[{', '.join(number(v, 3) for v in array.tolist())}]"
    if not array.size:
        return "×".join(map(str, array.shape)) + " empty"
    rms = float(np.sqrt(np.mean(np.square(array))))
    return f"{'×'.join(map(str, array.shape))} rms {number(rms, 2)}"


def _along(edge: GraphEdge) -> tuple[str, str]:
    """What is written on an edge: numbers if they are few, else a shape and the gradient's rms."""
    value, gradient = edge.source.value, edge.gradient
    if value is None:
        return "", ""
    if value.size < _FEW:
        return f"↓{short(value)}", "" if gradient is None else f"↑{short(gradient)}"
    shape = "×".join(map(str, value.shape))
    if gradient is None:
        return f"↓{shape}", ""
    return f"↓{shape}", f"↑rms {number(float(np.sqrt(np.mean(np.square(gradient)))), 2)}"


def _between(edges: Sequence[GraphEdge], groups: dict[int, Any]) -> list[GraphEdge]:
    """The edges between boxes; several uses of one value in one group are one edge."""
    merged: dict[Any, GraphEdge] = {}
    for edge in edges:
        target = groups[edge.target.number]
        if groups[edge.source.number] == target:
            continue
        alone = target[0] is None
        key = (edge.source.number, id(edge) if alone else target)
        earlier = merged.get(key)
        gradient = edge.gradient
        if earlier is not None and earlier.gradient is not None and gradient is not None:
            gradient = gradient + earlier.gradient
        merged[key] = GraphEdge(edge.source, edge.target, gradient)
    return list(merged.values())


def _leaf(value: Any) -> Tensor:
    """A tensor of our own, that gets a gradient if it can."""
    if isinstance(value, Tensor):
        tensor = value.detach().clone()
    elif isinstance(value, np.ndarray):
        tensor = torch.from_numpy(value.copy())
    else:
        tensor = torch.tensor(value)
        tensor = tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _with_loss(
    model: nn.Module, arguments: list[Tensor], y: Any, task: str
) -> tuple[Callable[..., Any], Tensor]:
    """The loss of the model as a function of its inputs, and the targets."""
    trial = copy.deepcopy(model)
    with process_state():
        outputs = trial(*arguments)
        lasting = range_kept(trial, outputs, *arguments)
        objective, checked = objective_of(outputs, y, task, lasting)
    targets = torch.from_numpy(checked)
    return lambda *inputs: objective.loss(model(*inputs), targets), targets


def _names(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> dict[int, str]:
    """What each value is called in the text: inputs by their names, x[0] as it is, else v1, v2."""
    names: dict[int, str] = {}
    sources = {e.target.number: e.source.number for e in edges}
    count = 0
    for node in nodes:
        source = sources.get(node.number)
        if not node.operation:
            names[node.number] = node.label
        elif node.operation == "__getitem__" and source in names and "{1}" not in node.expression:
            names[node.number] = node.expression.format(names[source])
        else:
            count += 1
            names[node.number] = f"v{count}"
    return names


def _groups(nodes: Sequence[GraphNode], max_boxes: int) -> dict[int, tuple[Any, ...]]:
    """Which box each node is drawn in: the deepest calls of modules that give few enough boxes.

    A box is a run of nodes that were computed one after the other in the same call, so that boxes
    cannot depend on each other in a circle. What happens outside of modules stays as it is.
    """
    alone: dict[int, tuple[Any, ...]] = {node.number: (None, node.number) for node in nodes}
    if len(nodes) <= max_boxes:
        return alone
    for depth in range(max(len(node.modules) for node in nodes), 0, -1):
        groups: dict[int, tuple[Any, ...]] = {}
        last: tuple[str, ...] = ()
        run = 0
        for node in nodes:
            path = node.modules[:depth]
            run += path != last
            last = path
            outside = len(path) <= (depth > 1)
            groups[node.number] = alone[node.number] if outside else (path[-1], run)
        if len(set(groups.values())) <= max_boxes:
            return groups
    return _runs(nodes, max_boxes)


def _runs(nodes: Sequence[GraphNode], max_boxes: int) -> dict[int, tuple[Any, ...]]:
    """Operations one after the other in boxes of equal number, where no modules divide them."""
    operations = [node for node in nodes if node.operation]
    others = len(nodes) - len(operations)
    size = -(-len(operations) // max(1, max_boxes - min(others, max_boxes // 2)))
    place = {node.number: i // size for i, node in enumerate(operations)}
    last = nodes[-1].number  # the output stays by itself
    return {
        n.number: ("operations", place[n.number])
        if n.operation and n.number != last
        else (None, n.number)
        for n in nodes
    }
