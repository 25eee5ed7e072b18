"""Operations in plain characters: how each is drawn, and what its arguments are called."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import resolve_name

_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "·",
    "div": "/",
    "truediv": "/",
    "matmul": "@",
    "pow": "^",
    "gt": ">",
    "lt": "<",
    "ge": "≥",
    "le": "≤",
    "eq": "=",
    "ne": "≠",
    "floordiv": "//",
    "mod": "%",
    "remainder": "%",
    "mm": "@",
    "bmm": "@",
    "mv": "@",
}


def describe(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
    """How an operation is drawn, and its expression with {0}, {1} ... for the tensors.

    >>> import torch
    >>> describe("__rmul__", (torch.ones(1), 7), {})
    ('7 ·', '7 · {0}')
    """
    count = 0

    def shown(value: Any) -> str:
        nonlocal count
        if isinstance(value, Tensor):
            count += 1
            return f"{{{count - 1}}}"
        if isinstance(value, slice):
            parts = ["" if p is None else shown(p) for p in (value.start, value.stop, value.step)]
            return ":".join(parts if value.step is not None else parts[:2])
        if isinstance(value, (list, tuple)):
            return f"({', '.join(map(shown, value))})"
        text = (
            "..."
            if value is Ellipsis
            else f"{value:g}"
            if isinstance(value, float)
            else repr(value)
        )
        return text.replace("{", "{{").replace("}", "}}")

    bare = name.strip("_") if name.startswith("__") else name.rstrip("_")
    if bare in ("getitem", "setitem"):
        source = shown(args[0])
        index = shown(args[1])
        index = index[1:-1] if isinstance(args[1], tuple) else index
        to = f" = {shown(args[2])}" if bare == "setitem" else ""
        return f"[{index}]".replace("{1}", "…") + (" =" * bool(to)), f"{source}[{index}]{to}"
    if bare in ("pos", "neg") and len(args) == 1:
        return "-", f"-{shown(args[0])}"
    swapped = bare.startswith("r") and bare[1:] in _INFIX and name.startswith("__")
    sign = _INFIX.get(
        bare[1:] if swapped else bare.removeprefix("i") if name.startswith("__i") else bare
    )
    if sign and len(args) == 2 and not kwargs:
        left, right = (shown(a) for a in (reversed(args) if swapped else args))
        label = " ".join(part for part in (left, sign, right) if not part.startswith("{"))
        return label, f"{left} {sign} {right}"
    inside = [shown(a) for a in args if a is not None]
    inside += [f"{k}={shown(v)}" for k, v in kwargs.items() if v is not None and k[0] != "_"]
    return bare, f"{bare}({', '.join(inside)})"


def input_names(function: Callable[..., Any] | None, count: int) -> list[str]:
    """What the function calls its arguments; x, or x1, x2 ... where that cannot be seen."""
    try:
        names = [] if function is None else list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    if len(names) >= count and not any(name.startswith("_") for name in names[:count]):
        return names[:count]
    return ["x"] if count == 1 else [f"x{i + 1}" for i in range(count)]


def function_name(func: Any) -> str:
    """The last part of a function's name; that of a property's getter is the property's."""
    name = str(getattr(func, "__name__", ""))
    if name == "__get__":
        return (resolve_name(func) or "").split(".")[-2]
    return name


def non_default(func: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments that are not what they are anyway."""
    try:
        parameters = inspect.signature(func).parameters
    except (TypeError, ValueError):
        return kwargs
    defaults = {name: p.default for name, p in parameters.items()}
    return {k: v for k, v in kwargs.items() if isinstance(v, Tensor) or defaults.get(k, ...) != v}
