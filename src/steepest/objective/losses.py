"""The four data losses: multiclass and binary, from logits and from probabilities."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from steepest.errors import TargetError

# torch.nn.BCELoss's bound: a probability of 0 for the true class costs 100, not infinity.
LEAST_LOG = -100.0


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean multiclass cross entropy, computed from logits.

    L = mean_i( logsumexp(z_i) - z_i[c_i] ), so any finite logits are safe.

    Args:
        logits: (N, C) float.
        targets: (N,) int64 in [0, C).

    Returns:
        A scalar, in nats.

    Raises:
        TargetError: If a class index is outside [0, C), naming the first such row.
    """
    return _checked(F.cross_entropy, logits, targets, logits.shape[1])


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross entropy, computed from logits.

    L = mean_i( max(z_i, 0) - z_i y_i + log(1 + exp(-|z_i|)) ), so any finite logits are safe.

    Args:
        logits: (N,) or (N, 1) float, of class 1.
        targets: (N,) of 0 and 1.

    Returns:
        A scalar, in nats.

    Raises:
        TargetError: If a target is neither, naming the first such row.
    """
    return _checked(_binary_from_logits, logits, targets, 2)


def cross_entropy_from_probabilities(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Mean multiclass cross entropy of a model that ends in a softmax.

    L = mean_i( -max(log p_i[c_i], -100) ). Prefer logits: a softmax that has rounded to 0 gives
    no gradient, and nothing after it can bring that back.

    Args:
        probabilities: (N, C) float, rows that sum to 1.
        targets: (N,) int64 in [0, C).

    Returns:
        A scalar, in nats.

    Raises:
        TargetError: If a class index is outside [0, C), naming the first such row.
    """
    return _checked(_multiclass_from_probabilities, probabilities, targets, probabilities.shape[1])


def binary_cross_entropy_from_probabilities(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross entropy of a model that ends in a sigmoid (torch.nn.BCELoss).

    L = mean_i( -y_i max(log p_i, -100) - (1 - y_i) max(log(1 - p_i), -100) ).

    Args:
        probabilities: (N,) or (N, 1) float in [0, 1], of class 1.
        targets: (N,) of 0 and 1.

    Returns:
        A scalar, in nats.

    Raises:
        TargetError: If a target is neither, naming the first such row.
    """
    return _checked(_binary_from_probabilities, probabilities, targets, 2)


Loss = Callable[[Tensor, Tensor], Tensor]


def _multiclass_from_probabilities(probabilities: Tensor, targets: Tensor) -> Tensor:
    return F.nll_loss(probabilities.log().clamp(min=LEAST_LOG), targets)


def _binary_from_logits(logits: Tensor, targets: Tensor) -> Tensor:
    logits = logits.reshape(-1)
    return F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))


def _binary_from_probabilities(probabilities: Tensor, targets: Tensor) -> Tensor:
    probabilities = probabilities.reshape(-1)
    return F.binary_cross_entropy(probabilities, targets.to(probabilities.dtype))


def _each_from_logits(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))


def _each_from_probabilities(probabilities: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy(probabilities, targets.to(probabilities.dtype))


# Unchecked, for the training loop, whose targets were checked once: (kind, outputs) -> loss.
LOSS_FUNCTIONS: dict[tuple[str, str], Loss] = {
    ("multiclass", "logits"): F.cross_entropy,
    ("multiclass", "probabilities"): _multiclass_from_probabilities,
    ("binary", "logits"): _binary_from_logits,
    ("binary", "probabilities"): _binary_from_probabilities,
    ("multilabel", "logits"): _each_from_logits,
    ("multilabel", "probabilities"): _each_from_probabilities,
}


def _checked(loss: Loss, outputs: Tensor, targets: Tensor, classes: int) -> Tensor:
    wrong = ((targets < 0) | (targets >= classes) | (targets != targets.floor())).reshape(-1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        raise TargetError(
            f"the target of row {row} is {targets.reshape(-1)[row].item():g}, but with {classes} "
            f"classes it must be one of 0 .. {classes - 1}"
        )
    return loss(outputs, targets)
