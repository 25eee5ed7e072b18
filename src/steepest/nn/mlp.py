"""mlp(): the multilayer perceptron as an ordinary torch.nn.Sequential."""

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from steepest.errors import ModelError, did_you_mean
from steepest.nn.batch_ensemble import (
    EnsembleMean,
    EnsembleView,
    LinearBatchEnsemble,
    LinearEnsemble,
)
from steepest.nn.ensemble import Closing
from steepest.nn.linear import INITIALISERS, LinearLayer
from steepest.nn.parametric import ParametricActivation
from steepest.nn.residual import Residual
from steepest.nn.scaling import ScalingLayer
from steepest.random import Purpose, torch_seed
from steepest.recipe import ACTIVATIONS as _NAMES

# The modules of `activation`, by the names that recipes have for them.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    name: getattr(nn, module) for name, module in _NAMES.items()
}
# He's variance makes up for the half that a rectifier sets to zero, and LeCun's keeps SELU's mean 0
# and variance 1 (Klambauer et al., 2017); Xavier's suits the others.
_RECTIFIERS = ("relu", "leaky_relu", "gelu", "silu", "mish")


def mlp(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    activation: str = "relu",
    init: str = "auto",
    dropout: float = 0.0,
    batch_norm: bool = False,
    layer_norm: bool = False,
    parametric_activation: bool = False,
    scaling_layer: bool = False,
    batch_ensemble: int | None = None,
    closing: Closing = "softmax",
    residual: bool = False,
    stochastic_depth: float = 0.0,
    seed: int | None = None,
) -> nn.Sequential:
    """A feed-forward net that gives logits.

    Flatten; for each hidden layer a LinearLayer, BatchNorm1d or LayerNorm if asked for, the
    activation, Dropout if asked for; at last a LinearLayer. With `residual` each hidden layer as
    wide as the one before it is a Residual block; stochastic_depth is what the last block is left
    out with, the earlier ones less, in proportion to their depth (Huang et al., 2016).

    Args:
        inputs: Numbers in one row, images flattened.
        hidden: Width of each hidden layer, () for none.
        outputs: C logits, or 1 for two classes.
        activation: tanh, sigmoid, relu, leaky_relu, gelu, silu, mish, selu or identity.
        init: A scheme of LinearLayer, or "auto": he for rectifiers (relu, leaky_relu, gelu, silu,
            mish), lecun for selu, xavier otherwise.
        dropout: The probability with which a number of a hidden layer is dropped, below 1.
        batch_norm: Whether BatchNorm1d follows each hidden LinearLayer.
        layer_norm: Whether LayerNorm does.
        parametric_activation: Whether each hidden unit learns how much of the activation it takes
            (ParametricActivation).
        scaling_layer: Whether a ScalingLayer stands in front, a learned factor for each input.
        batch_ensemble: K members that share their weights as TabM's do, in place of one net: in
            training the logits are (N, K, outputs), in evaluation those of the mean probabilities.
        closing: Of batch_ensemble, what makes probabilities of logits where there is more than one
            output; of one it is "sigmoid".
        residual: Whether hidden layers that keep the width are added to their input.
        stochastic_depth: The probability with which the last residual block is left out, below 1.
        seed: The same seed gives the same weights; None draws from torch's own generator.

    Returns:
        A Sequential from rows (N, ...) to logits (N, outputs).

    Raises:
        ModelError: For an unknown activation or scheme.

    Source:
        He et al., ICCV 2015, and Glorot and Bengio, AISTATS 2010, for the initialisations.

    >>> [tuple(p.shape) for p in mlp(784, [100], 10).parameters()]
    [(100, 784), (100,), (10, 100), (10,)]
    """
    init = scheme_for(activation, init)

    def linear(i: int, fan_in: int, fan_out: int) -> nn.Module:
        generator = None if seed is None else generator_of(seed, i)
        if not batch_ensemble:
            return LinearLayer(fan_in, fan_out, init, generator=generator)
        if i == len(hidden):
            return LinearEnsemble(fan_in, fan_out, batch_ensemble, init, generator=generator)
        return LinearBatchEnsemble(
            fan_in, fan_out, batch_ensemble, init, signs=i == 0, generator=generator
        )

    widths = [inputs, *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    if scaling_layer:
        layers.append(ScalingLayer(inputs))
    if batch_ensemble:
        layers.append(EnsembleView(batch_ensemble))
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        block: list[nn.Module] = [linear(i, fan_in, fan_out)]
        if batch_norm:
            block.append(nn.BatchNorm1d(fan_out))
        if layer_norm:
            block.append(nn.LayerNorm(fan_out))
        block.append(
            ParametricActivation(activation, fan_out)
            if parametric_activation
            else ACTIVATIONS[activation]()
        )
        if dropout:
            block.append(nn.Dropout(dropout))
        if residual and i > 0 and fan_in == fan_out:
            layers.append(Residual(nn.Sequential(*block), stochastic_depth * i / (len(hidden) - 1)))
        else:
            layers += block
    layers.append(linear(len(hidden), widths[-1], outputs))
    if batch_ensemble:
        layers.append(EnsembleMean("sigmoid" if outputs == 1 else closing))
    return nn.Sequential(*layers)


@torch.no_grad()
def redraw(layers: Iterable[LinearLayer], seed: int) -> None:
    """Draw weights anew, as `mlp` with this seed does.

    Args:
        layers: All those of a net that `mlp` made, in their order.
        seed: Of the first weights.
    """
    for i, layer in enumerate(layers):
        draw = INITIALISERS[layer.init]
        layer.weight.copy_(draw(layer.out_features, layer.in_features, generator_of(seed, i)))


def scheme_for(activation: str, init: str) -> str:
    """The scheme of LinearLayer that `init` means beside this activation.

    Args:
        activation: Its name.
        init: A scheme, or "auto".

    Raises:
        ModelError: There is no such activation.
    """
    if activation not in ACTIVATIONS:
        hint = did_you_mean(activation, ACTIVATIONS) or f": choose one of {', '.join(ACTIVATIONS)}"
        raise ModelError(f"unknown activation {activation!r}{hint}")
    suited = dict.fromkeys(_RECTIFIERS, "he") | {"selu": "lecun"}
    return suited.get(activation, "xavier") if init == "auto" else init


def generator_of(seed: int, layer: int) -> torch.Generator:
    """What the first weights of a layer are drawn from, a function of seed and layer alone."""
    layer_seed = torch_seed(seed, Purpose.INITIALISATION, 0, stream=layer)
    return torch.Generator().manual_seed(layer_seed)
