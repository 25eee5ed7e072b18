"""A model as the native engine sees it: linear layers and activations, or what is in the way."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from steepest.nn import LinearLayer

# The numbers are those of `Activation` in src/native/kernels.h.
_ACTIVATIONS: dict[type[nn.Module], int] = {
    nn.Tanh: 1,
    nn.Sigmoid: 2,
    nn.ReLU: 3,
    nn.LeakyReLU: 4,
    nn.GELU: 5,
    nn.SiLU: 7,
}
_GELU_TANH = 6
_LINEAR = (nn.Linear, LinearLayer)
_SHAPES_ONLY = (nn.Flatten, nn.Identity)


@dataclass(frozen=True, eq=False)
class NativeLayer:
    """Z = X Wᵀ + b and an activation. name: of the linear module, as in `named_modules`."""

    name: str
    weight: nn.Parameter
    bias: nn.Parameter | None
    activation: int = 0
    slope: float = 0.0

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """Its parameters by their names in the model."""
        prefix = f"{self.name}." if self.name else ""
        named = {f"{prefix}weight": self.weight, f"{prefix}bias": self.bias}
        return {name: p for name, p in named.items() if p is not None}


def native_layers(model: nn.Module) -> tuple[NativeLayer, ...] | str:
    """The layers of a model, or in one line which part of it the native engine cannot run."""
    layers: list[NativeLayer] = []
    activated = True
    for name, module in _leaves(model):
        kind = type(module)
        where = f"module {name or 'model'!r} ({kind.__name__})"
        if obstacle := _oddity(module):
            return f"{where} {obstacle}"
        if kind in _LINEAR:
            if obstacle := _parameter_obstacle(module):
                return f"{where} {obstacle}"
            layers.append(NativeLayer(name, module.weight, module.bias))  # type: ignore[arg-type]
            activated = False
        elif isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
            return f"{where} flattens other dimensions than 1 to the last"
        elif kind in _ACTIVATIONS:
            if activated:
                return f"{where} does not follow a linear layer"
            number, slope = _ACTIVATIONS[kind], 0.0
            if isinstance(module, nn.GELU) and module.approximate == "tanh":
                number = _GELU_TANH
            if isinstance(module, nn.LeakyReLU):
                slope = module.negative_slope
            last = layers[-1]
            layers[-1] = NativeLayer(last.name, last.weight, last.bias, number, slope)
            activated = True
        elif kind not in _SHAPES_ONLY:
            return f"{where} is not among the modules that the native engine knows"
    if not layers:
        return "the model has no linear layer"
    used = [id(parameter) for layer in layers for parameter in layer.parameters.values()]
    if len(set(used)) < len(used):
        return "a parameter is used by two layers"
    return tuple(layers)


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that a Sequential runs, in order, nested ones too; any other module is a leaf."""
    if type(module) is not nn.Sequential or _oddity(module):
        yield name, module
        return
    for key, child in module._modules.items():
        if child is not None:
            yield from _leaves(child, f"{name}.{key}" if name else key)


def _oddity(module: nn.Module) -> str | None:
    """What makes a module do other than its class does."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(module, name, None) for name in hooks):
        return "has hooks"
    return "has a forward of its own" if "forward" in vars(module) else None


def _parameter_obstacle(module: nn.Module) -> str | None:
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.device.type != "cpu":
            return f"has its {name} on {parameter.device}"
        if parameter.dtype != torch.float32:
            return f"has a {name} of {parameter.dtype}, and the native engine computes in float32"
        if not parameter.requires_grad:
            return f"has a frozen {name}"
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            return f"has hooks on its {name}"
    return None
