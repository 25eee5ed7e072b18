"""Objective: which loss a model is trained with, and what its outputs mean."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from steepest.errors import ModelError
from steepest.objective.losses import LOSSES


@dataclass(frozen=True)
class Objective:
    """The data loss of a classifier.

    kind: "multiclass" for (N, C) outputs, "binary" for (N, 1) or (N,) outputs and two classes.
    outputs: "logits", or "probabilities" for a model that ends in a softmax or a sigmoid.
    """

    kind: Literal["multiclass", "binary"]
    outputs: Literal["logits", "probabilities"] = "logits"

    @classmethod
    def of_outputs(cls, outputs: Tensor, classes: int) -> "Objective":
        """The objective that fits a model's outputs for one batch of rows.

        outputs: (N, C) or (N, 1) or (N,), with their graph: whether the last operation was a
        softmax or a sigmoid is read off it. Log-probabilities count as logits: the softmax of
        log p is p. Raises ModelError if the width does not fit the number of classes.
        """
        width = 1 if outputs.ndim == 1 else outputs.shape[1]
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

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch; a scalar. targets: (N,) int64, already checked."""
        return LOSSES[self.kind, self.outputs](outputs, targets)

    def predictions(self, outputs: Tensor) -> Tensor:
        """The index of the likeliest class of each row, (N,) int64."""
        if self.kind == "multiclass":
            return outputs.argmax(dim=1)
        return (outputs.reshape(-1) > (0.0 if self.outputs == "logits" else 0.5)).long()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The probability of each class, (N, C) float64: two columns for a binary objective."""
        outputs = outputs.double()
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
