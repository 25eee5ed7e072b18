"""ScalingLayer: a learned factor for each column."""

import torch
from torch import Tensor, nn


class ScalingLayer(nn.Module):
    """y = s x, column by column: a diagonal linear layer without a bias, s = 1 at first.

    In front of a net it learns which columns count. A higher learning rate of s lets it do so
    before the other weights have settled.

    Args:
        features: Columns, n.

    Shape:
        (N, ..., n) to the same.

    Source:
        Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted
        trees on tabular data", NeurIPS 2024 (RealMLP).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """What becomes of the rows x, both (N, ..., n)."""
        return x * self.scale

    def extra_repr(self) -> str:
        return f"{self.features}"
