"""A function of a vector x from text, as (x[0] + x[1])**2 + 7*x[0] + cos(x[0] + x[2])."""

import ast
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from steepest.errors import SteepestError, did_you_mean

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(torch, name)
    for name in (
        *("sin", "cos", "tan", "tanh", "sinh", "cosh", "exp", "log", "log1p", "sqrt", "abs"),
        *("sigmoid", "relu", "erf", "atan", "square", "sum", "mean", "logsumexp"),
    )
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: lambda value: value,
}
_CONSTANTS = {"pi": torch.pi, "e": torch.e}


def function_of(text: str) -> Callable[[Tensor], Tensor]:
    """The function that a text writes, of a vector x.

    Args:
        text: Of x, x[0], numbers, pi and e, + - * / ** @, and the functions sin, cos, tanh, exp,
            log, sigmoid, relu, sum and some more. Nothing else is run.

    Returns:
        A function from a vector to a tensor.

    Raises:
        SteepestError: Something in the text is not known; the message says what.
    """
    try:
        tree = ast.parse(text.replace("^", "**"), mode="eval").body
    except SyntaxError as error:
        raise SteepestError(f"{text!r} is not an expression: {error.msg}") from None
    _evaluate(tree, None)  # what is not known is told before anything is worked out

    def f(x: Tensor) -> Tensor:
        value: Tensor = _evaluate(tree, x)
        return value

    return f


def _evaluate(node: ast.expr, x: Tensor | None) -> Any:
    """The value of an expression at x; without x, only whether all of it is known."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id="x"):
            return x
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Subscript(value=ast.Name(id="x"), slice=index):
            place = _evaluate(index, None)
            if not isinstance(place, int):
                raise SteepestError(f"an index must be a whole number: {ast.unparse(node)}")
            return None if x is None else _item(x, place)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            value = _evaluate(operand, x)
            return None if value is None else _UNARY[type(op)](value)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            a, b = _evaluate(left, x), _evaluate(right, x)
            return None if a is None or b is None else _BINARY[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            if name not in _FUNCTIONS:
                hint = did_you_mean(name, _FUNCTIONS) or f"; known are {', '.join(_FUNCTIONS)}"
                raise SteepestError(f"unknown function {name!r}{hint}")
            values = [_evaluate(arg, x) for arg in args]
            return None if x is None else _FUNCTIONS[name](*map(_as_tensor, values))
    raise SteepestError(
        f"{ast.unparse(node)!r} cannot be used here: write x, x[0], numbers, + - * / ** and "
        f"functions as cos(x[0])"
    )


def _item(x: Tensor, place: int) -> Tensor:
    if not -len(x) <= place < len(x):
        raise SteepestError(f"x has {len(x)} numbers, so x[{place}] is not there; see --at")
    return x[place]


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(float(value))
