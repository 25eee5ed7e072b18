"""Many nets that share their weights: BatchEnsemble's linear layers, as TabM has them.

`Sequential(EnsembleView(K), LinearBatchEnsemble(...), ReLU(), LinearEnsemble(...), EnsembleMean())`
is K members whose rows lie side by side, (N, K, n), so that each layer is one product.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid

from steepest.errors import ModelError
from steepest.nn.ensemble import Closing
from steepest.nn.linear import LinearLayer

# Far more than anyone trains; a file of a stranger may say anything.
_MOST_MEMBERS = 1024


class EnsembleView(nn.Module):
    """Each row once for each of K members; nothing is copied.

    Args:
        members: K.

    Shape:
        (N, n) to (N, K, n).

    Raises:
        ModelError: For a number of members below 1 or above 1024.
    """

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = _checked(members)

    def forward(self, x: Tensor) -> Tensor:
        """The rows x, K times."""
        return x.unsqueeze(1).expand(-1, self.members, -1)

    def extra_repr(self) -> str:
        return f"{self.members}"


class LinearBatchEnsemble(nn.Module):
    """K linear layers that share their matrix: z_i = ((x_i * r_i) W^T) * s_i + b_i for member i.

    Args:
        in_features: Numbers in a row of x, n.
        out_features: Numbers in a row of z, m.
        members: K.
        init: How W is drawn, a scheme of LinearLayer; b = 0.
        signs: Whether r begins as random signs, by which members of a first layer differ; else it
            is 1, as s is.
        generator: Where the numbers come from, torch's own by default.

    Shape:
        (N, K, n) to (N, K, m).

    Raises:
        ModelError: For an unknown scheme, or a number of members below 1 or above 1024.

    Source:
        Wen, Tran and Ba, "BatchEnsemble", ICLR 2020; with these starts, and heads of their own
        (LinearEnsemble), Gorishniy, Kotelnikov and Babenko, "TabM", ICLR 2025.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        members: int,
        init: str = "xavier",
        *,
        signs: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.members, self.init, self.signs = _checked(members), init, signs
        self.weight = LinearLayer(in_features, out_features, init, generator=generator).weight
        r = torch.ones(members, in_features)
        if signs:
            r = torch.randint(0, 2, r.shape, generator=generator).to(r.dtype) * 2 - 1
        self.r = nn.Parameter(r)
        self.s = nn.Parameter(torch.ones(members, out_features))
        self.bias = nn.Parameter(torch.zeros(members, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Z (N, K, out_features) of x (N, K, in_features)."""
        return nn.functional.linear(x * self.r, self.weight) * self.s + self.bias

    def extra_repr(self) -> str:
        return (
            f"{self.in_features}, {self.out_features}, {self.members}, init={self.init!r}, "
            f"signs={self.signs}"
        )


class LinearEnsemble(nn.Module):
    """K linear layers side by side, each with a matrix of its own: z_i = x_i W_i^T + b_i.

    Args:
        in_features: Numbers in a row of x, n.
        out_features: Numbers in a row of z, m.
        members: K.
        init: How each W_i is drawn, a scheme of LinearLayer; b = 0.
        generator: Where the numbers come from, torch's own by default.

    Shape:
        (N, K, n) to (N, K, m).

    Raises:
        ModelError: For an unknown scheme, or a number of members below 1 or above 1024.

    Source:
        The heads of TabM: Gorishniy, Kotelnikov and Babenko, ICLR 2025.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        members: int,
        init: str = "xavier",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.members, self.init = _checked(members), init
        layers = [
            LinearLayer(in_features, out_features, init, generator=generator)
            for _ in range(members)
        ]
        self.weights = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.zeros(members, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Z (N, K, out_features) of x (N, K, in_features)."""
        return torch.einsum("rki,koi->rko", x, self.weights) + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, {self.members}, init={self.init!r}"


class EnsembleMean(nn.Module):
    """In evaluation the logits of the mean of the members' probabilities; in training all logits.

    So that a loss of the rows (N, K, C) that are given in training is the mean of the members' own,
    as `sp.train` takes it, while a trained net gives one answer.

    Args:
        closing: What makes probabilities of logits, "softmax" or "sigmoid".

    Shape:
        (N, K, C) to (N, C) in evaluation and to the same in training.

    Raises:
        ModelError: For another closing.
    """

    def __init__(self, closing: Closing = "softmax") -> None:
        super().__init__()
        if closing not in ("softmax", "sigmoid"):
            raise ModelError(f"closing must be 'softmax' or 'sigmoid', but is {closing!r}")
        self.closing: Closing = closing

    def forward(self, x: Tensor) -> Tensor:
        """The logits of the mean probabilities of x; x itself in training."""
        return x if self.training else self.combine(x)

    def combine(self, x: Tensor) -> Tensor:
        """The logits of the mean, (N, C), from those of the members, (N, K, C)."""
        if self.closing == "softmax":
            mean = torch.logsumexp(log_softmax(x, dim=2), dim=1)
            return mean - torch.log(x.new_tensor(float(x.shape[1])))
        return torch.logsumexp(logsigmoid(x), dim=1) - torch.logsumexp(logsigmoid(-x), dim=1)

    def extra_repr(self) -> str:
        return repr(self.closing)


def _checked(members: int) -> int:
    if not 1 <= members <= _MOST_MEMBERS:
        raise ModelError(f"members must be 1 to {_MOST_MEMBERS}, but is {members}")
    return members
