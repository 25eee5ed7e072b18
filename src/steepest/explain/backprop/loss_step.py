"""The loss end of a ledger by hand: from logits (or probabilities) to L, and back."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from steepest.explain.backprop.entry import Array
from steepest.explain.backprop.manual_layer import Activations
from steepest.explain.backprop.symbols import Symbol
from steepest.explain.backprop.writer import LedgerWriter
from steepest.objective import Objective
from steepest.objective.losses import LEAST_LOG


@dataclass(eq=False)
class LossStep:
    """Loss, dL/dA and dL/dZ of one batch.

    targets: (N,) class indices, or (N, K) of 0 and 1 for multilabel. outputs: the reference's.
    gradient: dL/d(outputs) as autograd has it, once it is known. What `forward` leaves for
    `backward`: outputs_symbol, of what the loss takes; a and probabilities_symbol, the
    probabilities; y, the targets as rows; terms, how many the mean is of.
    """

    objective: Objective
    targets: NDArray[np.int64]
    outputs: Tensor
    gradient: Array | None = None
    outputs_symbol: Symbol = field(init=False)
    probabilities_symbol: Symbol = field(init=False)
    a: Array = field(init=False)
    y: Array = field(init=False)
    terms: int = field(init=False)

    def forward(self, activations: Activations, writer: LedgerWriter) -> None:
        """Write Y, the probabilities A where the model gives logits, and L."""
        self.outputs_symbol = activations.symbol
        z = activations.value
        self.y = self._one_hot(z)
        note = "the true classes, one-hot" if self._multiclass else "1 for the second class"
        if self.objective.kind == "multilabel":
            note = "1 for each class that a row has"
        writer.write(writer.symbol("Y"), self.y, "", None, "loss", by_hand=False, note=note)
        if self.objective.outputs == "probabilities":
            self.probabilities_symbol, self.a, self.terms = activations.symbol, z, self._count(z)
            with np.errstate(divide="ignore"):
                self._write_loss(writer, np.log(z), np.log1p(-z))
            return
        self.probabilities_symbol = writer.symbol("A", activations.layer)
        name, self.terms = self._squash, self._count(z)
        self.a = special.softmax(z, axis=1) if self._multiclass else special.expit(z)
        reference = (
            torch.softmax(self.outputs, 1) if self._multiclass else self.outputs.sigmoid()
        ).detach()
        formula = rf"{name}({activations.symbol.latex})"
        writer.write(self.probabilities_symbol, self.a, formula, reference.numpy(), "loss")
        log_a = special.log_softmax(z, axis=1) if self._multiclass else special.log_expit(z)
        self._write_loss(writer, log_a, special.log_expit(-z))

    def backward(self, writer: LedgerWriter) -> Array:
        """Write dL/dA, and dL/dZ where the model gives logits; the gradient of the outputs."""
        da, formula = self._gradient_of_probabilities()
        logits = self.objective.outputs == "logits"
        reference = self._reference_of_probabilities() if logits else self.gradient
        writer.write_gradient(self.probabilities_symbol, da, formula, reference)
        if not logits:
            return da
        dz: Array = (self.a - self.y) / self.terms
        formula = rf"{self._share}\,({self.probabilities_symbol.latex} - Y)"
        writer.write_gradient(self.outputs_symbol, dz, formula, self.gradient)
        return dz

    @property
    def _multiclass(self) -> bool:
        """Whether one of several classes is true, so that softmax and not a sigmoid closes."""
        return self.objective.kind == "multiclass"

    @property
    def _squash(self) -> str:
        return r"\operatorname{softmax}" if self._multiclass else r"\sigma"

    @property
    def _share(self) -> str:
        return r"\frac{1}{N K}" if self.objective.kind == "multilabel" else r"\frac{1}{N}"

    def _count(self, z: Array) -> int:
        return z.size if self.objective.kind == "multilabel" else len(z)

    def _one_hot(self, z: Array) -> Array:
        if self._multiclass:
            return np.eye(z.shape[1])[self.targets]
        return self.targets.reshape(z.shape).astype(np.float64)

    def _write_loss(self, writer: LedgerWriter, log_a: Array, log_rest: Array) -> None:
        log_a, log_rest = (np.maximum(part, self._least) for part in (log_a, log_rest))
        a, y = self.probabilities_symbol.latex, self.y
        terms = np.where(y > 0, log_a, 0.0)
        formula = rf"-{self._share} \sum Y \odot \log {a}"
        if not self._multiclass:
            terms = np.where(y > 0, log_a, log_rest)
            formula = rf"-{self._share} \sum (Y \odot \log {a} + (1 - Y) \odot \log (1 - {a}))"
        loss = np.asarray(-terms.sum() / self.terms)
        torch_loss = self.objective.loss(self.outputs, torch.from_numpy(self.targets))
        note = "mean cross entropy in nats"
        reference = torch_loss.detach().double().numpy()
        writer.write(Symbol("L"), loss, formula, reference, "loss", note=note)

    @property
    def _least(self) -> float:
        """A probability of 0 for the true class costs 100; from logits nothing is cut."""
        return LEAST_LOG if self.objective.outputs == "probabilities" else -np.inf

    def _gradient_of_probabilities(self) -> tuple[Array, str]:
        a = self.probabilities_symbol.latex
        with np.errstate(divide="ignore"):
            if self._multiclass:
                da = np.where(self.y > 0, -1 / (self.terms * self.a), 0.0)
                if self.objective.outputs == "probabilities":
                    da = np.where(self.a >= np.exp(LEAST_LOG), da, 0.0)
                return da, rf"-{self._share}\, Y \oslash {a}"
            da = np.where(self.y > 0, -1 / self.a, 1 / (1 - self.a)) / self.terms
        return da, rf"{self._share}\left((1 - Y) \oslash (1 - {a}) - Y \oslash {a}\right)"

    def _reference_of_probabilities(self) -> Array:
        """dL/dA of the loss as it is written, by autograd."""
        squash = torch.softmax(self.outputs, 1) if self._multiclass else self.outputs.sigmoid()
        a = squash.detach().requires_grad_()
        y = torch.from_numpy(self.y)
        chosen = a[y > 0].log().sum()
        if not self._multiclass:
            chosen = chosen + (1 - a[y == 0]).log().sum()
        (gradient,) = torch.autograd.grad(-chosen / self.terms, a)
        values: Array = gradient.numpy()
        return values
