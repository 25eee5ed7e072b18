"""Activations by hand: value, derivative and both formulas."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from torch import nn

from steepest.explain.backprop.entry import Array


@dataclass(frozen=True)
class Pointwise:
    """A = g(Z), element by element.

    compute: from Z and the module (for its settings) to A and dA/dZ. value, slope: LaTeX in which
    <Z>, <A> stand for the symbols and <slope> for LeakyReLU's number; slope is empty where it is 1.
    letter: of the output.
    """

    compute: Callable[[Array, Any], tuple[Array, Array]]
    value: str
    slope: str
    letter: str = "A"
    note: str = ""


def _tanh(z: Array, _: Any) -> tuple[Array, Array]:
    a = np.tanh(z)
    return a, 1 - a**2


def _sigmoid(z: Array, _: Any) -> tuple[Array, Array]:
    a = special.expit(z)
    return a, a * special.expit(-z)  # 1 - σ(z) is σ(-z), without the rounding


def _relu(z: Array, _: Any) -> tuple[Array, Array]:
    return np.maximum(z, 0), (z > 0).astype(float)


def _leaky_relu(z: Array, module: Any) -> tuple[Array, Array]:
    slope = module.negative_slope
    return np.where(z > 0, z, slope * z), np.where(z > 0, 1.0, slope)


def _gelu(z: Array, _: Any) -> tuple[Array, Array]:
    below = special.ndtr(z)
    return z * below, below + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _gelu_tanh(z: Array, _: Any) -> tuple[Array, Array]:
    factor = np.sqrt(2 / np.pi)
    t = np.tanh(factor * (z + 0.044715 * z**3))
    slope = factor * (1 + 3 * 0.044715 * z**2)
    return z * (1 + t) / 2, (1 + t) / 2 + z * (1 - t**2) * slope / 2


def _silu(z: Array, _: Any) -> tuple[Array, Array]:
    s = special.expit(z)
    return z * s, s * (1 + z * special.expit(-z))


def _mish(z: Array, _: Any) -> tuple[Array, Array]:
    t = np.tanh(np.logaddexp(0, z))
    return z * t, t + z * special.expit(z) * (1 - t**2)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _selu(z: Array, _: Any) -> tuple[Array, Array]:
    below, least = np.minimum(z, 0), _SELU_SCALE * _SELU_ALPHA
    value = np.where(z > 0, _SELU_SCALE * z, least * np.expm1(below))
    return value, np.where(z > 0, _SELU_SCALE, least * np.exp(below))


def _same(z: Array, _: Any) -> tuple[Array, Array]:
    return z, np.ones_like(z)


_GELU_TANH = Pointwise(
    _gelu_tanh,
    r"\frac{1}{2} <Z> \odot (1 + T), \quad T = \tanh(\sqrt{2 / \pi}\,(<Z> + 0.044715\,(<Z>)^{3}))",
    r"(\frac{1}{2}(1 + T) + \frac{1}{2} <Z> \odot (1 - T^{2}) \odot "
    r"\sqrt{2 / \pi}\,(1 + 0.134145\,(<Z>)^{2}))",
)
_POINTWISE: dict[type[nn.Module], Pointwise] = {
    nn.Tanh: Pointwise(_tanh, r"\tanh(<Z>)", r"(1 - (<A>)^{2})"),
    nn.Sigmoid: Pointwise(_sigmoid, r"\sigma(<Z>)", r"<A> \odot (1 - <A>)"),
    nn.ReLU: Pointwise(_relu, r"\max(0, <Z>)", r"\mathbf{1}[<Z> > 0]"),
    nn.LeakyReLU: Pointwise(
        _leaky_relu,
        r"\max(0, <Z>) + <slope>\,\min(0, <Z>)",
        r"(\mathbf{1}[<Z> > 0] + <slope>\,\mathbf{1}[<Z> \le 0])",
    ),
    nn.GELU: Pointwise(
        _gelu,
        r"<Z> \odot \Phi(<Z>)",
        r"(\Phi(<Z>) + <Z> \odot \varphi(<Z>))",
        note="Φ and φ are the normal distribution and its density",
    ),
    nn.SiLU: Pointwise(
        _silu, r"<Z> \odot \sigma(<Z>)", r"\sigma(<Z>) \odot (1 + <Z> \odot \sigma(-<Z>))"
    ),
    nn.Mish: Pointwise(
        _mish,
        r"<Z> \odot \tanh(s(<Z>))",
        r"(\tanh(s(<Z>)) + <Z> \odot \sigma(<Z>) \odot (1 - \tanh^{2}(s(<Z>))))",
        note="s is softplus, log(1 + e^z)",
    ),
    nn.SELU: Pointwise(
        _selu,
        r"\lambda\,(\max(0, <Z>) + \alpha\,\min(0, \exp(<Z>) - 1))",
        r"\lambda\,(\mathbf{1}[<Z> > 0] + \alpha\,\exp(<Z>) \odot \mathbf{1}[<Z> \le 0])",
        note="λ = 1.0507 and α = 1.6733",
    ),
    nn.Identity: Pointwise(_same, "<Z>", ""),
    nn.Dropout: Pointwise(
        _same, "<Z>", "", "D", "in evaluation mode dropout lets everything through"
    ),
}


def pointwise(module: nn.Module) -> Pointwise | None:
    """How this activation is worked out, or None if it is not known."""
    if isinstance(module, nn.GELU) and module.approximate == "tanh":
        return _GELU_TANH
    if isinstance(module, nn.Dropout) and module.training:
        return None
    return _POINTWISE.get(type(module))
