"""Layers that torch.nn lacks, or whose random numbers are a function of the seed."""

import math

import torch
from torch import Tensor, nn

from steepest.export.script.pieces.constants import DROPOUT, STOCHASTIC_DEPTH
from steepest.export.script.pieces.randomness import generator_of, random_words


class Dropout(nn.Module):
    """torch.nn.Dropout with a mask that is a function of the seed, the step and the layer."""

    step = 0  # the training loop sets it for all layers
    factor = 1.0  # of the shares that are dropped

    def __init__(self, p: float, layer: int) -> None:
        super().__init__()
        self.p = p
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        p = self.p * Dropout.factor
        if not self.training or p == 0:
            return x
        rows, width = x.shape
        padded = -(-width // 4) * 4  # words come in blocks of four
        words = random_words(rows * padded, DROPOUT, Dropout.step, self.layer)
        kept = words.reshape(rows, padded)[:, :width] >= int(p * 2**32)
        return x * torch.from_numpy(kept).to(x.dtype) * (1 / (1 - p))


class Residual(nn.Module):
    """y = x + f(x)."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class StochasticResidual(nn.Module):
    """y = x + f(x), where f is left out for some rows while training."""

    step = 0  # the training loop sets it for all blocks

    def __init__(self, block: nn.Module, stochastic_depth: float, layer: int) -> None:
        super().__init__()
        self.block = block
        self.stochastic_depth = stochastic_depth
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        p = self.stochastic_depth
        if self.training:
            words = random_words(len(y), STOCHASTIC_DEPTH, StochasticResidual.step, self.layer)
            kept = torch.from_numpy(words >= int(p * 2**32)).reshape(-1, *[1] * (y.ndim - 1))
            y = y * kept.to(y.dtype) * (1 / (1 - p))
        return x + y


class ScalingLayer(nn.Module):
    """A learned factor for each column."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class ParametricActivation(nn.Module):
    """x + alpha (f(x) - x): each unit learns how much of the activation f it takes."""

    def __init__(self, f: nn.Module, features: int) -> None:
        super().__init__()
        self.f = f
        self.alpha = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.alpha * (self.f(x) - x)


class PeriodicEmbedding(nn.Module):
    """Rows with what periodic functions make of their numbers beside them."""

    def __init__(self, columns: list[int], frequencies: int, outputs: int, sigma: float) -> None:
        super().__init__()
        self.columns = columns
        generator, bound = generator_of(1, 1), 1 / math.sqrt(frequencies)

        def uniform(*shape: int, bound: float) -> nn.Parameter:
            return nn.Parameter((2 * torch.rand(shape, generator=generator) - 1) * bound)

        count = len(columns)
        frequency = torch.randn(frequencies, count, generator=generator) * sigma
        self.frequency = nn.Parameter(frequency)
        self.phase = uniform(frequencies, count, bound=math.pi)
        self.mixing = uniform(outputs, frequencies, count, bound=bound)
        self.bias = uniform(outputs, count, bound=bound)

    def forward(self, x: Tensor) -> Tensor:
        numbers = x[:, None, self.columns]
        angles = 2 * math.pi * self.frequency * numbers + self.phase
        embedded = torch.einsum("rkc,dkc->rdc", torch.cos(angles), self.mixing) + self.bias
        return torch.cat([x, embedded.flatten(1)], dim=1)


class CategoryEmbedding(nn.Module):
    """Rows whose one-hot words, columns first .. beyond-1, have become learned vectors."""

    def __init__(self, features: int, spans: list[tuple[int, int]], outputs: int) -> None:
        super().__init__()
        self.spans = spans
        words = {column for first, beyond in spans for column in range(first, beyond)}
        self.others = [column for column in range(features) if column not in words]
        self.table = nn.Parameter(torch.randn(len(words), outputs, generator=generator_of(1, 0)))

    def forward(self, x: Tensor) -> Tensor:
        tables = torch.split(self.table, [beyond - first for first, beyond in self.spans])
        pairs = zip(self.spans, tables, strict=True)
        vectors = [x[:, first:beyond] @ table for (first, beyond), table in pairs]
        return torch.cat([x[:, self.others], *vectors], dim=1)
