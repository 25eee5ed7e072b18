"""The loss end of a ledger by hand: from logits (or probabilities) to L, and back."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from steepest.explain.backprop.book import Array, Book
from steepest.explain.backprop.layers import Flow
from steepest.explain.backprop.symbols import Symbol
from steepest.objective import Objective
from steepest.objective.losses import LEAST_LOG


@dataclass(eq=False)
class Closing:
    """Loss, dL/dA and dL/dZ of one batch.

    targets: (N,) class indices, or (N, K) of 0 and 1 for multilabel. outputs: the reference's.
    gradient: dL/d(outputs) as autograd has it, once it is known. Of `forward`: given, what the loss
    takes; symbol, the probabilities a; y, the targets as rows; count, the terms of the mean.
    """

    objective: Objective
    targets: NDArray[np.int64]
    outputs: Tensor
    gradient: Array | None = None
    given: Symbol = field(init=False)
    symbol: Symbol = field(init=False)
    a: Array = field(init=False)
    y: Array = field(init=False)
    count: int = field(init=False)

    def forward(self, flow: Flow, book: Book) -> None:
        """Write Y, the probabilities A where the model gives logits, and L."""
        self.given = flow.symbol
        z = flow.value
        self.y = self._one_hot(z)
        note = "the true classes, one-hot" if self._several else "1 for the second class"
        if self.objective.kind == "multilabel":
            note = "1 for each class that a row has"
        book.write(book.symbol("Y"), self.y, "", None, "loss", by_hand=False, note=note)
        if self.objective.outputs == "probabilities":
            self.symbol, self.a, self.count = flow.symbol, z, self._count(z)
            with np.errstate(divide="ignore"):
                self._write_loss(book, np.log(z), np.log1p(-z))
            return
        self.symbol = book.symbol("A", flow.layer)
        name, self.count = self._squash, self._count(z)
        self.a = special.softmax(z, axis=1) if self._several else special.expit(z)
        reference = (
            torch.softmax(self.outputs, 1) if self._several else self.outputs.sigmoid()
        ).detach()
        formula = rf"{name}({flow.symbol.latex})"
        book.write(self.symbol, self.a, formula, reference.numpy(), "loss")
        log_a = special.log_softmax(z, axis=1) if self._several else special.log_expit(z)
        self._write_loss(book, log_a, special.log_expit(-z))

    def backward(self, book: Book) -> Array:
        """Write dL/dA, and dL/dZ where the model gives logits; the gradient of the outputs."""
        da, formula = self._gradient_of_probabilities()
        logits = self.objective.outputs == "logits"
        reference = self._reference_of_probabilities() if logits else self.gradient
        book.write_gradient(self.symbol, da, formula, reference)
        if not logits:
            return da
        dz: Array = (self.a - self.y) / self.count
        formula = rf"{self._share}\,({self.symbol.latex} - Y)"
        book.write_gradient(self.given, dz, formula, self.gradient)
        return dz

    @property
    def _several(self) -> bool:
        """Whether one of several classes is true, so that softmax and not a sigmoid closes."""
        return self.objective.kind == "multiclass"

    @property
    def _squash(self) -> str:
        return r"\operatorname{softmax}" if self._several else r"\sigma"

    @property
    def _share(self) -> str:
        return r"\frac{1}{N K}" if self.objective.kind == "multilabel" else r"\frac{1}{N}"

    def _count(self, z: Array) -> int:
        return z.size if self.objective.kind == "multilabel" else len(z)

    def _one_hot(self, z: Array) -> Array:
        if self._several:
            return np.eye(z.shape[1])[self.targets]
        return self.targets.reshape(z.shape).astype(np.float64)

    def _write_loss(self, book: Book, log_a: Array, log_rest: Array) -> None:
        log_a, log_rest = (np.maximum(part, self._least) for part in (log_a, log_rest))
        a, y = self.symbol.latex, self.y
        terms = np.where(y > 0, log_a, 0.0)
        formula = rf"-{self._share} \sum Y \odot \log {a}"
        if not self._several:
            terms = np.where(y > 0, log_a, log_rest)
            formula = rf"-{self._share} \sum (Y \odot \log {a} + (1 - Y) \odot \log (1 - {a}))"
        loss = np.asarray(-terms.sum() / self.count)
        torch_loss = self.objective.loss(self.outputs, torch.from_numpy(self.targets))
        note = "mean cross entropy in nats"
        reference = torch_loss.detach().double().numpy()
        book.write(Symbol("L"), loss, formula, reference, "loss", note=note)

    @property
    def _least(self) -> float:
        """A probability of 0 for the true class costs 100; from logits nothing is cut."""
        return LEAST_LOG if self.objective.outputs == "probabilities" else -np.inf

    def _gradient_of_probabilities(self) -> tuple[Array, str]:
        a = self.symbol.latex
        with np.errstate(divide="ignore"):
            if self._several:
                da = np.where(self.y > 0, -1 / (self.count * self.a), 0.0)
                if self.objective.outputs == "probabilities":
                    da = np.where(self.a >= np.exp(LEAST_LOG), da, 0.0)
                return da, rf"-{self._share}\, Y \oslash {a}"
            da = np.where(self.y > 0, -1 / self.a, 1 / (1 - self.a)) / self.count
        return da, rf"{self._share}\left((1 - Y) \oslash (1 - {a}) - Y \oslash {a}\right)"

    def _reference_of_probabilities(self) -> Array:
        """dL/dA of the loss as it is written, by autograd."""
        squash = torch.softmax(self.outputs, 1) if self._several else self.outputs.sigmoid()
        a = squash.detach().requires_grad_()
        y = torch.from_numpy(self.y)
        chosen = a[y > 0].log().sum()
        if not self._several:
            chosen = chosen + (1 - a[y == 0]).log().sum()
        (gradient,) = torch.autograd.grad(-chosen / self.count, a)
        found: Array = gradient.numpy()
        return found
