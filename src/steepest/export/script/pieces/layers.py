"""Layers that torch.nn lacks, or whose random numbers are a function of the seed."""

import torch
from torch import Tensor, nn

from steepest.export.script.pieces.constants import DROPOUT, STOCHASTIC_DEPTH
from steepest.export.script.pieces.randomness import random_words


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
        if self.training and p:
            words = random_words(len(y), STOCHASTIC_DEPTH, Residual.step, self.layer)
            kept = torch.from_numpy(words >= int(p * 2**32))
            y = y * kept[:, None].to(y.dtype) * (1 / (1 - p))
        return x + y
