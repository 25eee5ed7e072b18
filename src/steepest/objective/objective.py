"""Objective: which loss a model is trained with, and what its outputs mean."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steepest.errors import ModelError
from steepest.objective.losses import LOSSES


@dataclass(frozen=True)
class Objective:
    """The data loss of a classifier.

    kind: "multiclass" for (N, C) outputs, "binary" for (N, 1) or (N,) outputs and two classes,
    "multilabel" for (N, C) outputs of which each is a binary one, the mean over all being the loss.
    outputs: "logits", or "probabilities" for a model that ends in a softmax or a sigmoid.
    """

    kind: Literal["multiclass", "binary", "multilabel"]
    outputs: Literal["logits", "probabilities"] = "logits"

    @classmethod
    def of_outputs(cls, outputs: Tensor, classes: int, *, several: bool = False) -> "Objective":
        """The objective that fits a model's outputs for one batch of rows.

        outputs: (N, C) or (N, 1) or (N,), with their graph: whether the last operation was a
        softmax or a sigmoid is read off it. Log-probabilities count as logits: the softmax of
        log p is p. several: whether a row may have several classes or none. Raises ModelError if
        the width does not fit the number of classes.
        """
        width = 1 if outputs.ndim == 1 else outputs.shape[1]
        if several:
            return cls._of_several(outputs, classes)
        if outputs.ndim > 2 or (width != classes and not (width == 1 and classes == 2)):
            wanted = "(N, 2) or (N, 1)" if classes == 2 else f"(N, {classes})"
            found = "(" + ", ".join(["N", *map(str, outputs.shape[1:])]) + ")"
            raise ModelError(
                f"the labels have {classes} classes, so the model must give logits of shape "
                f"{wanted} for N rows, but it gives {found}; change the width of its last layer"
            )
        kind: Literal["multiclass", "binary"] = "binary" if width == 1 else "multiclass"
        closing = {"multiclass": "SoftmaxBackward0", "binary": "SigmoidBackward0"}[kind]
        name = _last_operation(outputs)
        if kind == "multiclass" and name == "SigmoidBackward0":
            raise ModelError(
                f"the model ends in a sigmoid but gives {width} outputs for {classes} classes, of "
                "which one is true: leave out the sigmoid, so that the model gives logits"
            )
        if kind == "binary" and name in ("SoftmaxBackward0", "LogSoftmaxBackward0"):
            raise ModelError(
                "the model ends in a softmax over one output, which is always 1: leave out the "
                "softmax, so that the model gives a logit"
            )
        return cls(kind, "probabilities" if name == closing else "logits")

    @classmethod
    def _of_several(cls, outputs: Tensor, classes: int) -> "Objective":
        if outputs.ndim != 2 or outputs.shape[1] != classes:
            found = "(" + ", ".join(["N", *map(str, outputs.shape[1:])]) + ")"
            raise ModelError(
                f"with {classes} classes in a row or none, the model must give logits of shape (N, "
                f"{classes}) for N rows, but it gives {found}; change the width of its last layer"
            )
        name = _last_operation(outputs)
        if name in ("SoftmaxBackward0", "LogSoftmaxBackward0"):
            raise ModelError(
                "the model ends in a softmax, which lets a row have one class, but loss multilabel "
                "lets it have several or none: leave out the softmax"
            )
        return cls("multilabel", "probabilities" if name == "SigmoidBackward0" else "logits")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch; a scalar. targets: (N,) or (N, C) int64, checked."""
        return LOSSES[self.kind, self.outputs](outputs, targets)

    def predictions(self, outputs: Tensor) -> Tensor:
        """The index of the likeliest class of each row, (N,) int64; multilabel: (N, C) 0 and 1."""
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


def _last_operation(outputs: Tensor) -> str:
    """The name of the operation that gave the outputs; a change of shape is looked through."""
    node = outputs.grad_fn
    while node is not None and node.name() in (
        "SqueezeBackward1",
        "ViewBackward0",
        "SelectBackward0",
    ):
        node = node.next_functions[0][0]
    return node.name() if node is not None else ""
