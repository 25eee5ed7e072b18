"""Per-layer statistics of one training step, taken with hooks that are removed again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steepest.engine.contract import LayerStats
from steepest.nn import ParametricActivation

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

# Activations and where they stand still: exactly 0, or within 1 % of a bound. Most are functions,
# which torch's modules of the same name call; some are modules alone.
_ZERO_IS_IDLE = ("relu", "leaky_relu", "gelu", "silu", "mish", "elu", "selu", "softplus", "relu6")
_BOUNDS_ARE_INACTIVE = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}
_MODULES = (nn.ReLU6, nn.PReLU, ParametricActivation)


@dataclass
class _Layer:
    name: str
    weight: Tensor
    weight_before: Tensor
    gradient_norm: float = 0.0
    outputs: dict[str, float] = field(default_factory=dict)


class LayerProbe(TorchFunctionMode):
    """Watches one step: make it before the step, `finish()` after it and before the next.

    In between, `with` it the forward pass, and `take_gradients()` when they are those of the data
    loss.

    A layer is a leaf module with a trainable weight of two dimensions or more.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._layers: list[_Layer] = []
        self._latest: _Layer | None = None
        self._handles: list[RemovableHandle] = []
        for name, module in model.named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, nn.Parameter) and weight.ndim >= 2 and weight.requires_grad:
                layer = _Layer(name, weight, weight.detach().clone())
                self._layers.append(layer)
                self._watch(module, layer)
            elif type(module) in _MODULES:
                self._watch(module, None)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").removesuffix("_")  # that which ends so works in place
        if name in _ZERO_IS_IDLE or name in _BOUNDS_ARE_INACTIVE:
            self._note(result, _BOUNDS_ARE_INACTIVE.get(name))
        return result

    def take_gradients(self) -> None:
        """Note the norms of the gradients as they are now."""
        for layer in self._layers:
            if layer.weight.grad is not None:
                layer.gradient_norm = float(layer.weight.grad.norm())

    def finish(self) -> tuple[LayerStats, ...]:
        """The statistics of each layer, in the order of the model's modules."""
        for handle in self._handles:
            handle.remove()
        return tuple(_summary(layer) for layer in self._layers)

    def _watch(self, module: nn.Module, layer: _Layer | None) -> None:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            self._latest = layer or self._latest
            self._note(output, None)

        self._handles.append(module.register_forward_hook(hook))

    def _note(self, output: Any, bounds: tuple[float, float] | None) -> None:
        # An activation speaks for the layer before it, from whose output it came.
        if self._latest is not None and isinstance(output, Tensor):
            self._latest.outputs = _output_summary(output.detach(), bounds)


def over_all_rows(
    layers: tuple[LayerStats, ...], rows: int, add: Callable[[Tensor], Tensor]
) -> tuple[LayerStats, ...]:
    """The statistics over the rows of all workers; each has those over its own.

    Args:
        layers: Of this worker; their weights and gradients are the same in all.
        rows: How many it had.
        add: Sums a tensor over the workers.
    """
    if not layers:
        return ()
    own = [
        (1.0, s.activation_mean, s.activation_std**2 + s.activation_mean**2, s.inactive)
        for s in layers
    ]
    sums = add(rows * torch.tensor(own, dtype=torch.double))
    means = (sums[:, 1:] / sums[:, :1]).tolist()
    return tuple(
        replace(
            layer,
            activation_mean=mean,
            activation_std=max(0.0, square - mean**2) ** 0.5,
            inactive=inactive,
        )
        for layer, (mean, square, inactive) in zip(layers, means, strict=True)
    )


def _output_summary(output: Tensor, bounds: tuple[float, float] | None) -> dict[str, float]:
    inactive = (output < bounds[0]) | (output > bounds[1]) if bounds else output == 0
    std, mean = torch.std_mean(output.float(), correction=0)
    return {
        "activation_mean": float(mean),
        "activation_std": float(std),
        "inactive": float(inactive.float().mean()),
    }


def _summary(layer: _Layer) -> LayerStats:
    before = layer.weight_before
    norm = float(before.norm())
    change = float((layer.weight.detach() - before).norm())
    return LayerStats(
        name=layer.name,
        weight_norm=norm,
        gradient_norm=layer.gradient_norm,
        update_ratio=change / norm if norm else float("inf") if change else 0.0,
        **(layer.outputs or {"activation_mean": 0.0, "activation_std": 0.0, "inactive": 0.0}),
    )
