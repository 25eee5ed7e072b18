"""convolutional(): a small convolutional net for images as an ordinary torch.nn.Sequential."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn

from steepest.errors import ModelError
from steepest.nn.linear import INITIALISERS, LinearLayer
from steepest.nn.mlp import ACTIVATIONS, generator_of, scheme_for
from steepest.nn.residual import Residual

# Images with a longer side are halved by the first convolution, and those with a side longer than
# twice this are shrunk before it, by means of whole pixels.
_LONG_SIDE = 40


class Stage(NamedTuple):
    """One stage: a convolution, and a pool where there is something to pool.

    Attributes:
        fan_in: Channels of its input.
        channels: Of its output.
        kernel: Pixels of each side of the filters.
        stride: Of the convolution.
        convolved: (H, W) behind the convolution.
        out: (H, W) behind the pool.
    """

    fan_in: int
    channels: int
    kernel: int
    stride: int
    convolved: tuple[int, int]
    out: tuple[int, int]


def image_of(shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W) of a row of shape (C, H, W) or (H, W).

    Raises:
        ModelError: It is no image.
    """
    if len(shape) not in (2, 3):
        raise ModelError(
            f"channels describe a net for images, rows of shape (H, W) or (C, H, W), but a row has "
            f"shape {tuple(shape)}"
        )
    channels, height, width = (1, *shape) if len(shape) == 2 else shape
    return channels, height, width


def shrunk_by(shape: Sequence[int]) -> int:
    """How many pixels of each side become one before the first convolution."""
    return -(-max(shape[-2:]) // (2 * _LONG_SIDE))


def stages(shape: Sequence[int], channels: Sequence[int]) -> list[Stage]:
    """The stages of `convolutional` for rows of this shape.

    Args:
        shape: (H, W) or (C, H, W).
        channels: Of each stage.
    """
    fan_in, *sides = image_of(shape)
    shrink, made = shrunk_by(shape), []
    height, width = (max(1, side // shrink) for side in sides)
    for i, count in enumerate(channels):
        stride = 2 if i == 0 and max(height, width) > _LONG_SIDE else 1
        convolved = (-(-height // stride), -(-width // stride))
        height, width = (n // 2 for n in convolved) if min(convolved) > 1 else convolved
        made.append(Stage(fan_in, count, 2 * stride + 1, stride, convolved, (height, width)))
        fan_in = count
    return made


def multiply_adds(
    shape: Sequence[int], channels: Sequence[int], outputs: int, *, residual: bool = False
) -> int:
    """Products of a forward pass of one row through `convolutional`, without hidden layers.

    Args:
        shape: Of a row.
        channels: Of each stage.
        outputs: Logits.
        residual: Whether there are residual blocks.
    """
    products = channels[-1] * outputs
    for i, stage in enumerate(stages(shape, channels)):
        pixels = math.prod(stage.convolved)
        products += pixels * stage.kernel**2 * stage.fan_in * stage.channels
        if residual and i > 0:
            products += math.prod(stage.out) * 9 * stage.channels**2
    return products


def convolutional(
    shape: Sequence[int],
    channels: Sequence[int],
    outputs: int,
    *,
    hidden: Sequence[int] = (),
    activation: str = "relu",
    init: str = "auto",
    batch_norm: bool = False,
    residual: bool = False,
    stochastic_depth: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
) -> nn.Sequential:
    """A convolutional net that gives logits.

    Each stage halves the image: a convolution of 3 x 3 pixels, a max pool of 2 x 2, BatchNorm2d if
    asked for, and the activation; with `residual` every stage but the first goes on with a block
    x + f(x), where f is a convolution with normalisation and activation. Behind the last stage the
    mean over the pixels of each channel, the hidden layers, and a LinearLayer.

    The pool stands before normalisation and activation, which then have a quarter of the work. An
    image of more than 40 pixels a side is halved by the first convolution, of 5 x 5 then; one of
    more than 80 is shrunk before it, to means of k x k pixels.

    Args:
        shape: Of a row, (C, H, W) or (H, W).
        channels: Of each stage.
        outputs: C logits, or 1 for two classes.
        hidden: Width of each hidden layer behind the stages, () for none.
        activation: As for `mlp`.
        init: As for `mlp`; the fan of a filter is its channels times its pixels.
        batch_norm: Whether each convolution and each hidden layer is normalised over the minibatch.
        residual: Whether there are residual blocks.
        stochastic_depth: The probability with which the last block is left out, below 1; the
            earlier ones in proportion to their depth.
        dropout: The probability with which an input of a hidden or of the last linear layer is
            dropped, below 1.
        seed: The same seed gives the same weights; None draws from torch's own generator.

    Returns:
        A Sequential from rows (N, ...) to logits (N, outputs).

    Raises:
        ModelError: The rows are no images; for an unknown activation or scheme.

    Source:
        He et al., "Deep residual learning", CVPR 2016; Ioffe and Szegedy, ICML 2015; the mean over
        the pixels: Lin et al., "Network in network", ICLR 2014.

    >>> [tuple(p.shape) for p in convolutional((1, 28, 28), [8, 16], 10).parameters() if p.ndim > 1]
    [(8, 1, 3, 3), (16, 8, 3, 3), (10, 16)]
    """
    layer = _Layers(activation, scheme_for(activation, init), batch_norm, dropout, seed)
    net: list[nn.Module] = list(_front(shape))
    for i, stage in enumerate(stages(shape, channels)):
        net.append(layer.convolution(stage.fan_in, stage.channels, stage.kernel, stage.stride))
        if stage.out != stage.convolved:
            net.append(nn.MaxPool2d(2))
        net += layer.behind(nn.BatchNorm2d(stage.channels))
        if residual and i > 0:
            block = (
                layer.convolution(stage.channels, stage.channels),
                *layer.behind(nn.BatchNorm2d(stage.channels)),
            )
            net.append(Residual(nn.Sequential(*block), stochastic_depth * i / (len(channels) - 1)))
    net += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise([channels[-1], *hidden]):
        net += (*layer.linear(fan_in, fan_out), *layer.behind(nn.BatchNorm1d(fan_out)))
    return nn.Sequential(*net, *layer.linear([channels[-1], *hidden][-1], outputs))


class _Layers:
    """Makes the layers of a net one after another, each with first weights of its own."""

    def __init__(
        self, activation: str, scheme: str, batch_norm: bool, dropout: float, seed: int | None
    ) -> None:
        self._activation, self._scheme = activation, scheme
        self._batch_norm, self._dropout, self._seed = batch_norm, dropout, seed
        self._made = itertools.count()

    def _generator(self) -> torch.Generator | None:
        return None if self._seed is None else generator_of(self._seed, next(self._made))

    def convolution(self, fan_in: int, fan_out: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
        bias = not self._batch_norm  # which has one
        made = nn.Conv2d(fan_in, fan_out, kernel, stride, padding=kernel // 2, bias=bias)
        drawn = INITIALISERS[self._scheme](fan_out, fan_in * kernel * kernel, self._generator())
        made.weight = nn.Parameter(drawn.reshape(made.weight.shape))
        if made.bias is not None:
            nn.init.zeros_(made.bias)
        return made

    def linear(self, fan_in: int, fan_out: int) -> Iterator[nn.Module]:
        if self._dropout:
            yield nn.Dropout(self._dropout)
        yield LinearLayer(fan_in, fan_out, self._scheme, generator=self._generator())

    def behind(self, norm: nn.Module) -> Iterator[nn.Module]:
        if self._batch_norm:
            yield norm
        yield ACTIVATIONS[self._activation]()


def _front(shape: Sequence[int]) -> Iterator[nn.Module]:
    image_of(shape)
    if len(shape) == 2:
        yield nn.Unflatten(1, (1, shape[0]))
    if (by := shrunk_by(shape)) > 1:
        height, width = shape[-2:]
        yield nn.AvgPool2d((min(by, height), min(by, width)))
