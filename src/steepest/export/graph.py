"""GraphBuilder: an ONNX graph that is written down one operation after the other."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import ModelError, needs

with needs("onnx", "an ONNX file"):
    import onnx

# One version of the operators for every file, which onnxruntime 1.18 and later run.
OPSET, ML_OPSET = 20, 3
ML = "ai.onnx.ml"


class GraphBuilder:
    """Nodes and constants in order. Names are those of values; our own begin with "/".

    Args:
        taken: Names that stand for something else already.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.ir_version = 10
        self._taken = set(taken)

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append a node with one output; the name of it."""
        output = self._new(operator)
        node = onnx.helper.make_node(
            operator, inputs, [output], name=output, domain=domain, **attributes
        )
        self.nodes.append(node)
        return output

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        """The name of a constant. dtype: None for text."""
        array = np.asarray(value, dtype=object if dtype is None else dtype)
        name = self._new("constant")
        if dtype is None:
            tensor = onnx.helper.make_tensor(
                name, onnx.TensorProto.STRING, array.shape, [str(x).encode() for x in array.flat]
            )
        else:
            tensor = onnx.numpy_helper.from_array(array, name)
        self.constants.append(tensor)
        return name

    def cast(self, value: str, dtype: Any) -> str:
        return self.add("Cast", value, to=onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def polynomial(self, x: str, coefficients: NDArray[np.float64]) -> str:
        """The sum of coefficients[i] x^i, by Horner's rule."""
        total = self.constant(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            total = self.add("Add", self.add("Mul", total, x), self.constant(coefficient))
        return total

    def rename(self, value: str, name: str) -> None:
        """Give a value that is an output of the graph its name."""
        self.nodes.append(onnx.helper.make_node("Identity", [value], [name], name=f"/to {name}"))

    def splice(self, other: Any, value: str) -> str:
        """Append another graph of one input and one output, which becomes this value's; the name.

        other: a GraphProto.
        """
        (taken,), (given,) = other.input, other.output
        names = {taken.name: value, "": ""}

        def renamed(name: str) -> str:
            return names.setdefault(name, self._new(f"net/{name}"))

        for constant in other.initializer:
            constant.name = renamed(constant.name)
            self.constants.append(constant)
        for node in other.node:
            if any(attribute.HasField("g") for attribute in node.attribute):
                raise ModelError(f"the net has a branch or a loop, {node.op_type}; leave it out")
            node.input[:] = [renamed(name) for name in node.input]
            node.output[:] = [renamed(name) for name in node.output]
            node.name = self._new("net/node")
            self.nodes.append(node)
        return names[given.name]

    def _new(self, operator: str) -> str:
        name = f"/{operator}_{len(self.nodes) + len(self.constants)}"
        while name in self._taken:
            name = "/" + name
        self._taken.add(name)
        return name
