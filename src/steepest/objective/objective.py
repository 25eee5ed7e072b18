"""Objective: which loss a model is trained with, and what its outputs mean."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steepest.errors import ModelError
from steepest.objective.losses import LOSS_FUNCTIONS
from steepest.objective.ranges import Range, range_of

# What is looked through on the way to the last operation: it changes the shape, or what does not
# matter where a probability lies within its bounds already.
_LOOKED_THROUGH = (
    *("Squeeze", "Unsqueeze", "View", "UnsafeView", "ReshapeAlias", "Alias", "Select", "Slice"),
    *("T", "Transpose", "Permute", "Clone", "ToCopy", "Expand", "Clamp", "ClampMin", "ClampMax"),
)


@dataclass(frozen=True)
class Objective:
    """The data loss of a classifier.

    Attributes:
        kind: "multiclass" for (N, C) outputs; "binary" for (N, 1) or (N,) outputs and two classes;
            "multilabel" for (N, C) outputs of which each is a binary one, the mean over all being
            the loss.
        outputs: "logits", or "probabilities" for a model that ends in a softmax or a sigmoid.
    """

    kind: Literal["multiclass", "binary", "multilabel"]
    outputs: Literal["logits", "probabilities"] = "logits"

    @classmethod
    def of_outputs(
        cls,
        outputs: Tensor,
        classes: int,
        *,
        multilabel: bool = False,
        lasting: Range | None = None,
    ) -> "Objective":
        """The objective that fits a model's outputs for one batch of rows.

        Args:
            outputs: (N, C) or (N, 1) or (N,), with their graph: whether the last operation was a
                softmax or a sigmoid is read off it. Log-probabilities count as logits: the softmax
                of log p is p.
            classes: C, their number.
            multilabel: Whether a row may have several classes or none.
            lasting: The range that the outputs keep, where the numbers tell more than the graph
                (see `is_plain_to_see`).

        Raises:
            ModelError: If the width does not fit the number of classes, or the last operation does
                not fit the loss.
        """
        width = 1 if outputs.ndim == 1 else outputs.shape[1]
        if multilabel:
            return cls._of_multilabel(outputs, classes, lasting)
        if outputs.ndim > 2 or (width != classes and not (width == 1 and classes == 2)):
            wanted = "(N, 2) or (N, 1)" if classes == 2 else f"(N, {classes})"
            found = "(" + ", ".join(["N", *map(str, outputs.shape[1:])]) + ")"
            raise ModelError(
                f"the labels have {classes} classes, so the model must give logits of shape "
                f"{wanted} for N rows, but it gives {found}; change the width of its last layer"
            )
        kind: Literal["multiclass", "binary"] = "binary" if width == 1 else "multiclass"
        last = _closing(outputs, lasting)
        if kind == "multiclass" and last == "sigmoid":
            raise ModelError(
                f"the model ends in a sigmoid but gives {width} outputs for {classes} classes, of "
                "which one is true (or they lie in [0, 1] for another reason, and no softmax makes "
                "them sum to 1): leave that out, so that the model gives logits"
            )
        if kind == "binary" and last in ("softmax", "log softmax"):
            raise ModelError(
                "the model ends in a softmax over one output, which is always 1: leave out the "
                "softmax, so that the model gives a logit"
            )
        _refuse_log_sigmoid(last)
        closing = {"multiclass": "softmax", "binary": "sigmoid"}[kind]
        return cls(kind, "probabilities" if last == closing else "logits")

    @classmethod
    def _of_multilabel(cls, outputs: Tensor, classes: int, lasting: Range | None) -> "Objective":
        if outputs.ndim != 2 or outputs.shape[1] != classes:
            found = "(" + ", ".join(["N", *map(str, outputs.shape[1:])]) + ")"
            raise ModelError(
                f"with {classes} classes in a row or none, the model must give logits of shape (N, "
                f"{classes}) for N rows, but it gives {found}; change the width of its last layer"
            )
        last = _closing(outputs, lasting)
        if last in ("softmax", "log softmax"):
            raise ModelError(
                "the model ends in a softmax, which lets a row have one class, but task multilabel "
                "lets it have several or none: leave out the softmax"
            )
        _refuse_log_sigmoid(last)
        return cls("multilabel", "probabilities" if last == "sigmoid" else "logits")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch; a scalar. targets: (N,) or (N, C) int64, checked."""
        return LOSS_FUNCTIONS[self.kind, self.outputs](outputs, targets)

    def predictions(self, outputs: Tensor) -> Tensor:
        """The index of the likeliest class of each row, (N,) int64; multilabel: (N, C) 0 and 1."""
        if outputs.ndim == 3:  # of members that share a net, in training: by their mean
            members = [self.probabilities(own) for own in outputs.unbind(1)]
            mean = torch.stack(members).mean(0)
            return (mean > 0.5).long() if self.kind == "multilabel" else mean.argmax(dim=1)
        if self.kind == "multilabel":
            return (outputs > (0.0 if self.outputs == "logits" else 0.5)).long()
        if self.kind == "multiclass":
            return outputs.argmax(dim=1)
        return (outputs.reshape(-1) > (0.0 if self.outputs == "logits" else 0.5)).long()

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Whether each row is predicted rightly, (N,) bool; multilabel: all of its classes."""
        right = self.predictions(outputs) == targets
        return right if right.ndim == 1 else right.all(dim=1)

    def decide(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        """The predictions from `probabilities`: (N,), or (N, C) of 0 and 1 for multilabel."""
        if self.kind == "multilabel":
            return (probabilities > 0.5).astype(np.int64)
        found: NDArray[np.int64] = probabilities.argmax(axis=1)
        return found

    def chance_loss(self, classes: int) -> float:
        """The loss of a model that knows nothing: log C, or log 2 for each class of its own."""
        return math.log(2 if self.kind == "multilabel" else classes)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The probability of each class, (N, C) float64: two columns for a binary objective."""
        outputs = outputs.double()
        if self.kind == "multilabel":
            return torch.sigmoid(outputs) if self.outputs == "logits" else outputs
        if self.kind == "multiclass":
            return torch.softmax(outputs, dim=1) if self.outputs == "logits" else outputs
        outputs = outputs.reshape(-1)
        if self.outputs == "logits":
            return torch.stack([torch.sigmoid(-outputs), torch.sigmoid(outputs)], dim=1)
        return torch.stack([1 - outputs, outputs], dim=1)


def is_plain_to_see(outputs: Tensor) -> bool:
    """Whether graph and numbers of these outputs agree on what they are.

    Where they do not, `lasting_range` must decide: outputs in [0, 1] that end in no softmax or
    sigmoid are probabilities written otherwise, or logits that happen to lie there.
    """
    found, last = range_of(outputs), _last_operation(outputs)
    if last == "softmax":
        return found in ("rows", "ones")
    if last == "sigmoid":
        return found in ("each", "rows", "ones")
    return found == "any"


def _closing(outputs: Tensor, lasting: Range | None) -> str:
    """What the model ends in: softmax, sigmoid, one of their logarithms, or "" for logits."""
    match lasting:
        case "rows":
            return "softmax"
        case "ones":
            return "softmax" if outputs[0].numel() == 1 else "sigmoid"
        case "each":
            return "sigmoid"
        case "any":
            last = _last_operation(outputs)
            return last if last.startswith("log ") else ""
    return _last_operation(outputs)


def _refuse_log_sigmoid(last: str) -> None:
    if last == "log sigmoid":
        raise ModelError(
            "the model ends in the logarithm of a sigmoid, which is no logit: leave out the "
            "logsigmoid, so that the model gives logits"
        )


def _last_operation(outputs: Tensor) -> str:
    """The softmax, sigmoid or logarithm of one that gave the outputs; "" for anything else."""
    node = outputs.grad_fn
    while node is not None and node.name().split("Backward")[0] in _LOOKED_THROUGH:
        node = node.next_functions[0][0]
    name = "" if node is None else node.name().split("Backward")[0]
    operations = {
        "Softmax": "softmax",
        "Sigmoid": "sigmoid",
        "LogSoftmax": "log softmax",
        "LogSigmoid": "log sigmoid",
    }
    return operations.get(name, "")
