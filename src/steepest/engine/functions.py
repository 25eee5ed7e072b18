"""Functions of torch in a forward: the modules that do the same, reshapes and sums."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from torch import Tensor, nn


class Function(Enum):
    """What a function does where no module does the same."""

    NOTHING = "nothing"
    RESHAPE = "reshape"
    SUM = "sum"


_MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_MEAN_POOL = (
    *("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "divisor_override",
)
# By the functions' names: the modules, and what is given beside the input where it has no name.
_MODULES: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...]]] = {
    "relu": (nn.ReLU, ("inplace",)),
    "leaky_relu": (nn.LeakyReLU, ("negative_slope", "inplace")),
    "tanh": (nn.Tanh, ()),
    "sigmoid": (nn.Sigmoid, ()),
    "gelu": (nn.GELU, ("approximate",)),
    "silu": (nn.SiLU, ("inplace",)),
    "mish": (nn.Mish, ("inplace",)),
    "selu": (nn.SELU, ("inplace",)),
    "max_pool2d": (nn.MaxPool2d, _MAX_POOL),
    "avg_pool2d": (nn.AvgPool2d, _MEAN_POOL),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d, ("output_size",)),
}
_IN_PLACE = ("relu_", "leaky_relu_", "silu_", "mish_", "selu_")
# Those that give a tensor of the shape that they were given.
KEEPING_SHAPE = frozenset((*_IN_PLACE, *(name for name in _MODULES if "pool" not in name)))
# A row stays a row and its numbers keep their order wherever the first dimension is that of rows.
_RESHAPES = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze")
_SAME = ("contiguous", "float", "to", "type", "type_as")


def function_of(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor
) -> nn.Module | Function | None:
    """What a call of a function of torch does; None if that is not known.

    Args:
        name: Of the function or the method.
        args: What it was called with; the first is the tensor that it is about.
        kwargs: The same by name.
        result: What it gave.
    """
    if not args or not isinstance(args[0], Tensor) or "out" in kwargs:
        return None
    if name in _SAME and result is args[0]:
        return Function.NOTHING
    if name in _RESHAPES and result.dtype == args[0].dtype:
        return Function.RESHAPE
    if name in ("add", "add_", "__add__", "__radd__", "__iadd__"):
        return Function.SUM if _is_plain_sum(args, kwargs, result) else None
    if name == "mean":
        return nn.AdaptiveAvgPool2d(1) if _is_mean_of_pixels(args, kwargs) else None
    in_place = name in _IN_PLACE
    module, names = _MODULES.get(name[:-1] if in_place else name, (None, ()))
    if module is None:
        return None
    settings = dict(zip(names, args[1:], strict=False)) | kwargs
    if in_place:
        settings["inplace"] = True
    if name == "max_pool2d" and not settings.pop("return_indices", False):
        settings["stride"] = settings.get("stride") or None  # () where it is not given
    try:
        return module(**settings)
    except TypeError:  # something of the function that the module has not
        return None


def _is_plain_sum(args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> bool:
    terms = [*args, *(kwargs[k] for k in kwargs if k == "other")]
    return (
        len(terms) == 2
        and all(isinstance(t, Tensor) and t.shape == result.shape for t in terms)
        and kwargs.get("alpha", 1) == 1
    )


def _is_mean_of_pixels(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    if args[0].ndim != 4 or not isinstance(dim, tuple | list) or kwargs.get("dtype"):
        return False
    return sorted(d % 4 for d in dim) == [2, 3]
