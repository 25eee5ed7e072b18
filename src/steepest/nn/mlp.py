"""mlp(): the multilayer perceptron as an ordinary torch.nn.Sequential."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from steepest.errors import ModelError, did_you_mean
from steepest.nn.linear import LinearLayer
from steepest.random import Purpose, torch_seed

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}
# He's variance makes up for the half that a rectifier sets to zero; Xavier's suits the others.
_RECTIFIERS = ("relu", "leaky_relu", "gelu", "silu")


def mlp(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    activation: str = "relu",
    init: str = "auto",
    seed: int | None = None,
) -> nn.Sequential:
    """A feed-forward net that gives logits: Flatten, then LinearLayer and activation in turn.

    inputs: numbers in one row, images flattened. hidden: width of each hidden layer, () for none.
    outputs: C logits, or 1 for two classes. init: a scheme of LinearLayer, or "auto": he for
    rectifiers, xavier otherwise. seed: the same seed gives the same weights; None draws from
    torch's own generator. Raises ModelError for an unknown activation or scheme.

    >>> [tuple(p.shape) for p in mlp(784, [100], 10).parameters()]
    [(100, 784), (100,), (10, 100), (10,)]
    """
    if activation not in ACTIVATIONS:
        hint = did_you_mean(activation, ACTIVATIONS) or f": choose one of {', '.join(ACTIVATIONS)}"
        raise ModelError(f"unknown activation {activation!r}{hint}")
    if init == "auto":
        init = "he" if activation in _RECTIFIERS else "xavier"
    widths = [inputs, *hidden, outputs]
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        generator = None
        if seed is not None:
            layer_seed = torch_seed(seed, Purpose.INITIALISATION, 0, stream=i)
            generator = torch.Generator().manual_seed(layer_seed)
        layers += [
            LinearLayer(fan_in, fan_out, init, generator=generator),
            ACTIVATIONS[activation](),
        ]
    return nn.Sequential(*layers[:-1])
