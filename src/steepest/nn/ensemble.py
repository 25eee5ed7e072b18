"""Ensemble: several nets as one module, whose probabilities are the weighted mean of theirs."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid

from steepest.errors import ModelError

Closing = Literal["softmax", "sigmoid"]


class Ensemble(nn.Module):
    """Logits of the weighted mean of what its members take for the probabilities.

    With p_k = softmax(z_k) of the members' logits and weights w_k that sum to 1 the logits are
    log(sum_k w_k p_k) / T; with "sigmoid" log(p / (1 - p)) / T of p = sum_k w_k sigmoid(z_k). The
    softmax or sigmoid of them is the mean itself where the temperature T is 1.

    Args:
        members: K modules that map rows to logits, (N, C).
        spans: For each member the columns of a row that it takes, (first, beyond the last).
        closing: What makes probabilities of a member's logits.
        weights: (K,) of at least 0; None for equal ones. They are buffers, as is the temperature.
        temperature: Above 1 the probabilities are drawn together, below 1 apart.

    Shape:
        (N, n) or (N, ...), which is flattened, to (N, C).
    """

    weights: Tensor
    temperature: Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        spans: Sequence[Sequence[int]],
        closing: Closing = "softmax",
        *,
        weights: Sequence[float] | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if not members or len(spans) != len(members):
            raise ModelError(f"{len(members)} members have {len(spans)} spans; each needs one")
        if closing not in ("softmax", "sigmoid"):
            raise ModelError(f"closing must be 'softmax' or 'sigmoid', but is {closing!r}")
        equal = [1 / len(members)] * len(members)
        self.members = nn.ModuleList(members)
        self.spans = tuple((int(first), int(beyond)) for first, beyond in spans)
        self.closing: Closing = closing
        self.register_buffer("weights", torch.tensor(weights or equal, dtype=torch.float32))
        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float32))

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows.flatten(1)
        logits = torch.stack(
            [
                member(rows[:, first:beyond])
                for member, (first, beyond) in zip(self.members, self.spans, strict=True)
            ]
        )
        return self.combine(logits)

    def combine(self, logits: Tensor) -> Tensor:
        """The ensemble's logits, (N, C), from those of its members, (K, N, C)."""
        shares = self.weights.to(logits.dtype).log().reshape(-1, 1, 1)
        # In logarithms throughout: a mean of tiny probabilities keeps its digits.
        if self.closing == "softmax":
            mean = torch.logsumexp(log_softmax(logits, dim=2) + shares, dim=0)
        else:
            mean = torch.logsumexp(logsigmoid(logits) + shares, dim=0)
            mean = mean - torch.logsumexp(logsigmoid(-logits) + shares, dim=0)
        return mean / self.temperature.to(logits.dtype)

    def extra_repr(self) -> str:
        return f"spans={self.spans}, closing={self.closing!r}"
