"""The lecture's linear layer: one affine map, and seven ways to start."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from steepest.errors import ModelError, did_you_mean

Initialiser = Callable[[int, int, torch.Generator | None], Tensor]


def _normal(scale: Callable[[int, int], float]) -> Initialiser:
    def draw(fan_out: int, fan_in: int, generator: torch.Generator | None) -> Tensor:
        return torch.randn(fan_out, fan_in, generator=generator) * scale(fan_in, fan_out)

    return draw


# Weights W of shape (fan_out, fan_in). xavier: Glorot and Bengio 2010; he: He et al. 2015; lecun:
# LeCun et al. 1998.
INITIALISERS: dict[str, Initialiser] = {
    "xavier": _normal(lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5),
    "he": _normal(lambda fan_in, fan_out: (2 / fan_in) ** 0.5),
    "lecun": _normal(lambda fan_in, fan_out: (1 / fan_in) ** 0.5),
    "normal": _normal(lambda fan_in, fan_out: 1.0),
    "uniform": lambda fan_out, fan_in, g: torch.rand(fan_out, fan_in, generator=g) * 2 - 1,
    "zeros": lambda fan_out, fan_in, g: torch.zeros(fan_out, fan_in),
    "ones": lambda fan_out, fan_in, g: torch.ones(fan_out, fan_in),
}


class LinearLayer(nn.Module):
    """Z = X Wᵀ + b, with W drawn by a named scheme and b = 0.

    X is (N, in_features), Z (N, out_features), and W (out_features, in_features), as in
    torch.nn.Linear.

    Args:
        in_features: Numbers in a row of X.
        out_features: Numbers in a row of Z.
        init: How W is drawn: xavier, N(0, 2 / (fan_in + fan_out)); he, N(0, 2 / fan_in); lecun,
            N(0, 1 / fan_in); normal, N(0, 1); uniform on [-1, 1); zeros; ones. N has the mean and
            the variance.
        generator: Where the numbers come from, torch's own by default.

    Raises:
        ModelError: For an unknown scheme.

    Source:
        xavier: Glorot and Bengio, AISTATS 2010. he: He et al., ICCV 2015. lecun: LeCun et al.,
        Efficient BackProp, 1998.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        init: str = "xavier",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if init not in INITIALISERS:
            hint = did_you_mean(init, INITIALISERS) or f": choose one of {', '.join(INITIALISERS)}"
            raise ModelError(f"unknown initialisation {init!r}{hint}")
        self.in_features = in_features
        self.out_features = out_features
        self.init = init
        self.weight = nn.Parameter(INITIALISERS[init](out_features, in_features, generator))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Z (N, out_features) of the rows x (N, in_features)."""
        return nn.functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, init={self.init!r}"
