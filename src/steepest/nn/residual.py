"""Residual blocks, which add to their input, with stochastic depth."""

import torch
from torch import Tensor, nn

from steepest.errors import ModelError


class Residual(nn.Module):
    """Y = X + f(X), where f is left out for some rows while training.

    f(X) of a row is dropped with probability p, and divided by 1 - p otherwise, so that its mean
    is as in evaluation, where nothing is dropped.

    Args:
        block: f, from (N, ...) to the same shape.
        stochastic_depth: p, at least 0 and below 1.

    Raises:
        ModelError: For another p.

    Source:
        He et al., "Deep residual learning", CVPR 2016; Huang et al., "Deep networks with
        stochastic depth", ECCV 2016, row by row.
    """

    def __init__(self, block: nn.Module, stochastic_depth: float = 0.0) -> None:
        super().__init__()
        if not 0 <= stochastic_depth < 1:
            raise ModelError(
                f"stochastic_depth must be at least 0 and below 1, but is {stochastic_depth!r}"
            )
        self.block = block
        self.stochastic_depth = stochastic_depth

    def forward(self, x: Tensor) -> Tensor:
        """Y of the rows x, both (N, ...)."""
        y: Tensor = self.block(x)
        if self.training and self.stochastic_depth:
            y = y * self.row_scales(y).reshape(-1, *[1] * (y.ndim - 1))
        return x + y

    def row_scales(self, y: Tensor) -> Tensor:
        """0 or 1 / (1 - p) for each row, (N,), from torch's own generator."""
        kept = torch.rand(len(y), device=y.device) >= self.stochastic_depth
        return kept.to(y.dtype) / (1 - self.stochastic_depth)

    def extra_repr(self) -> str:
        return f"stochastic_depth={self.stochastic_depth}"
