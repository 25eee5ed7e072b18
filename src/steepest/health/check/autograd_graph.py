"""The graph that autograd keeps of a forward pass, read by the names of its nodes."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

# Nodes of the autograd graph that pass values on unchanged.
PASSED = (
    *("View", "Squeeze", "Unsqueeze", "Select", "Reshape", "Transpose", "Permute", "Slice"),
    *("ToCopy", "Clone", "Alias", "Expand", "TBackward", "AsStrided", "Flatten", "Unsafe"),
    *("Index", "Contiguous", "Detach", "Split", "Unbind"),
)


def head_node(tensor: Tensor) -> Any:
    """The node of the graph that made the values of a tensor; None for a leaf."""
    node = tensor.grad_fn
    while node is not None and node.name().startswith(PASSED) and node.next_functions:
        node = node.next_functions[0][0]
    return node


def head_name(tensor: Tensor) -> str:
    """Its name without version, as Softmax, LogSoftmax, Sigmoid, Relu, Addmm; "" for a leaf."""
    node = head_node(tensor)
    return "" if node is None else node.name().partition("Backward")[0]


def graph_nodes(root: Any, most: int = 20_000) -> Iterator[Any]:
    """The nodes of an autograd graph, breadth first."""
    visited: set[Any] = set()
    front = [root]
    while front and len(visited) < most:
        node = front.pop(0)
        if node is None or node in visited:
            continue
        visited.add(node)
        yield node
        front += [parent for parent, _ in node.next_functions]
