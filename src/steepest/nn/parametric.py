"""ParametricActivation: an activation of which each unit learns how much it takes."""

import torch
from torch import Tensor, nn

from steepest.errors import ModelError, did_you_mean
from steepest.recipe import ACTIVATIONS

# Of identity nothing is left over: x + alpha (x - x).
_NAMES = tuple(name for name in ACTIVATIONS if name != "identity")


class ParametricActivation(nn.Module):
    """y = x + alpha (f(x) - x), with one alpha for each unit, learned, 1 at first.

    At alpha 1 it is f itself, at 0 the unit is linear.

    Args:
        activation: f: tanh, sigmoid, relu, leaky_relu, gelu, silu, mish or selu, each with the
            settings that torch.nn's class of it has by default.
        features: Units, n.

    Shape:
        (N, ..., n) to the same.

    Raises:
        ModelError: For an unknown activation.

    Source:
        Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted
        trees on tabular data", NeurIPS 2024 (RealMLP).
    """

    def __init__(self, activation: str, features: int) -> None:
        super().__init__()
        if activation not in _NAMES:
            hint = did_you_mean(activation, _NAMES) or f": choose one of {', '.join(_NAMES)}"
            raise ModelError(f"unknown activation {activation!r}{hint}")
        self.activation = activation
        self.features = features
        self.alpha = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """What becomes of the rows x, both (N, ..., n)."""
        f = getattr(nn.functional, self.activation)
        y: Tensor = x + self.alpha * (f(x) - x)
        return y

    def extra_repr(self) -> str:
        return f"{self.activation!r}, {self.features}"
