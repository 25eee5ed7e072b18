"""Layers by hand: forward and backward in NumPy and float64, each with its formula."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from torch import nn

from steepest.explain.backprop.book import Array, Book
from steepest.explain.backprop.pointwise import pointwise
from steepest.explain.backprop.reference import Call, array_of
from steepest.explain.backprop.symbols import Symbol
from steepest.nn import LinearLayer


@dataclass
class Flow:
    """What goes from layer to layer: a symbol and its numbers. layer: linear layers so far."""

    symbol: Symbol
    value: Array
    layer: int = 0


class ByHand:
    """One layer. `forward` writes what it computes, `backward` turns dL/d(output) to dL/d(input).

    call: what PyTorch computed in this layer, which every number is compared with. The attributes
    declared here, and below in each kind of layer, are what `forward` leaves for `backward`.
    """

    before: Symbol
    after: Symbol
    x: Array
    y: Array

    def __init__(self, call: Call) -> None:
        self.call = call
        self.where = f"{call.name} ({type(call.module).__name__})"

    def forward(self, flow: Flow, book: Book) -> Flow:
        self.before, self.x = flow.symbol, flow.value
        self.after, self.y = self.before, self.x
        self._forward(flow, book)
        return Flow(self.after, self.y, flow.layer)

    def backward(self, gradient: Array, book: Book) -> Array:
        raise NotImplementedError

    def _forward(self, flow: Flow, book: Book) -> None:
        raise NotImplementedError

    def _write(
        self,
        book: Book,
        letter: str,
        number: int | None,
        value: Array,
        formula: str,
        note: str = "",
    ) -> None:
        """The layer's output."""
        self.after, self.y = book.symbol(letter, number), value
        book.write(self.after, value, formula, self.call.output_value, module=self.where, note=note)

    def _given(self, book: Book, name: str, letter: str, number: int) -> Symbol:
        """The symbol of a parameter, whose numbers are written at its first use."""
        parameter = getattr(self.call.module, name)
        symbol, first = book.symbol_of(parameter, letter, number)
        if first:
            book.write_given(symbol, array_of(parameter), module=self.where)
        return symbol

    def _write_input_gradient(self, book: Book, value: Array, formula: str) -> None:
        book.write_gradient(
            self.before, value, formula, self.call.input_gradient, module=self.where
        )

    def _write_parameter(
        self, book: Book, symbol: Symbol, name: str, value: Array, formula: str
    ) -> None:
        """The gradient of a parameter, the sum over its uses if it has several."""
        parameter = getattr(self.call.module, name)
        total = book.share(parameter, value, formula)
        if total is None:
            return  # written when its earlier uses are worked out too
        elsewhere = id(parameter) in book.elsewhere
        note = "frozen: no optimizer moves it" if parameter.grad is None else ""
        if elsewhere:
            note = "of this layer alone; other code uses it too"
        compared = parameter.grad is not None and not elsewhere
        book.write_gradient(
            symbol,
            *total,
            array_of(parameter.grad) if compared else None,
            module=self.where,
            parameter=True,
            note=note,
        )


class Linear(ByHand):
    """Z = A Wᵀ + b. torch keeps W as out × in, and so does the lecture."""

    weight: Array | None
    bias: Array | None
    W: Symbol
    b: Symbol

    def _forward(self, flow: Flow, book: Book) -> None:
        flow.layer += 1
        self.weight, self.bias = _parameter(self.call, "weight"), _parameter(self.call, "bias")
        assert self.weight is not None
        self.W = self._given(book, "weight", "W", flow.layer)
        z, formula = self.x @ self.weight.T, rf"{self.before.latex}\,{self.W.transposed}"
        if self.bias is not None:
            self.b = self._given(book, "bias", "b", flow.layer)
            z, formula = z + self.bias, f"{formula} + {self.b.latex}"
        self._write(book, "Z", flow.layer, z, formula)

    def backward(self, gradient: Array, book: Book) -> Array:
        d = self.after.gradient
        formula = rf"\left({d}\right)^{{\top}} {self.before.latex}"
        self._write_parameter(book, self.W, "weight", gradient.T @ self.x, formula)
        if self.bias is not None:
            formula = rf"\sum_{{i=1}}^{{N}} \left({d}\right)_i"
            self._write_parameter(book, self.b, "bias", gradient.sum(axis=0), formula)
        assert self.weight is not None
        before: Array = gradient @ self.weight
        self._write_input_gradient(book, before, rf"{d}\,{self.W.latex}")
        return before


class Activation(ByHand):
    """A = g(Z), element by element; dL/dZ = dL/dA ⊙ g'(Z)."""

    slope: Array
    slope_formula: str

    def _forward(self, flow: Flow, book: Book) -> None:
        known = pointwise(self.call.module)
        assert known is not None
        value, self.slope = known.compute(self.x, self.call.module)
        # Its own symbol is not in the formula of the value, so that it may be made after that.
        formula = self._in_symbols(known.value)
        self._write(book, known.letter, flow.layer, value, formula, known.note)
        self.slope_formula = self._in_symbols(known.slope)

    def backward(self, gradient: Array, book: Book) -> Array:
        formula = self.after.gradient + (rf" \odot {self.slope_formula}" * bool(self.slope_formula))
        before: Array = gradient * self.slope
        self._write_input_gradient(book, before, formula)
        return before

    def _in_symbols(self, formula: str) -> str:
        slope = f"{getattr(self.call.module, 'negative_slope', 0.0):g}"
        parts = {"<Z>": self.before.latex, "<A>": self.after.latex, "<slope>": slope}
        for name, latex in parts.items():
            formula = formula.replace(name, latex)
        return formula


class Softmax(ByHand):
    """A = softmax(Z), row by row, as a module of the net."""

    def _forward(self, flow: Flow, book: Book) -> None:
        value = special.softmax(self.x, axis=1)
        formula = rf"\operatorname{{softmax}}({self.before.latex})"
        self._write(book, "A", flow.layer, value, formula)

    def backward(self, gradient: Array, book: Book) -> Array:
        before: Array = self.y * (gradient - (gradient * self.y).sum(axis=1, keepdims=True))
        d, a = self.after.gradient, self.after.latex
        formula = rf"{a} \odot \left({d} - \sum_j \left({d} \odot {a}\right)_j\right)"
        self._write_input_gradient(book, before, formula)
        return before


class LogSoftmax(ByHand):
    """A = log softmax(Z), row by row, as a module of the net."""

    def _forward(self, flow: Flow, book: Book) -> None:
        value = special.log_softmax(self.x, axis=1)
        formula = rf"\log \operatorname{{softmax}}({self.before.latex})"
        self._write(book, "A", flow.layer, value, formula)

    def backward(self, gradient: Array, book: Book) -> Array:
        before: Array = gradient - np.exp(self.y) * gradient.sum(axis=1, keepdims=True)
        d = self.after.gradient
        formula = rf"{d} - \exp({self.after.latex}) \odot \sum_j \left({d}\right)_j"
        self._write_input_gradient(book, before, formula)
        return before


class Normalisation(ByHand):
    """U = γ ⊙ (Z - μ) / sqrt(v + ε) + β, over the rows (batch norm) or in each row (layer norm).

    Ioffe and Szegedy, 2015; Ba, Kiros and Hinton, 2016. In evaluation mode batch norm takes its
    running μ and v, which are constants in the backward pass.
    """

    axis: int
    constant: bool
    scale: Array
    normal: Array
    gamma: Array | None
    beta: Array | None
    hat: str
    G: Symbol
    B: Symbol

    def _forward(self, flow: Flow, book: Book) -> None:
        module: Any = self.call.module
        self.axis = 0 if isinstance(module, nn.BatchNorm1d) else 1
        self.constant = self.axis == 0 and not module.training
        if self.constant:
            mean, variance = array_of(module.running_mean), array_of(module.running_var)
        else:
            mean = self.x.mean(axis=self.axis, keepdims=True)
            variance = self.x.var(axis=self.axis, keepdims=True)
        self.scale = 1 / np.sqrt(variance + module.eps)
        self.normal = (self.x - mean) * self.scale
        self.gamma, self.beta = _parameter(self.call, "weight"), _parameter(self.call, "bias")
        hat = book.symbol(r"\hat{Z}", flow.layer)
        z, self.hat = self.before.latex, hat.latex
        over = "running" if self.constant else ("of the rows" if self.axis == 0 else "of each row")
        note = f"μ, v: mean and variance, {over}; ε = {module.eps:g}"
        formula = rf"\frac{{{z} - \mu}}{{\sqrt{{\nu + \varepsilon}}}}"
        book.write(hat, self.normal, formula, None, module=self.where, note=note)
        value, formula = self.normal, self.hat
        if self.gamma is not None:
            self.G = self._given(book, "weight", r"\gamma", flow.layer)
            value, formula = value * self.gamma, rf"{self.G.latex} \odot {formula}"
        if self.beta is not None:
            self.B = self._given(book, "bias", r"\beta", flow.layer)
            value, formula = value + self.beta, f"{formula} + {self.B.latex}"
        self._write(book, "U", flow.layer, value, formula)

    def backward(self, gradient: Array, book: Book) -> Array:
        d = self.after.gradient
        inner, chain = gradient, d
        if self.gamma is not None:
            formula = rf"\sum_{{i=1}}^{{N}} \left({d} \odot {self.hat}\right)_i"
            value = (gradient * self.normal).sum(axis=0)
            self._write_parameter(book, self.G, "weight", value, formula)
            inner, chain = gradient * self.gamma, rf"{d} \odot {self.G.latex}"
        if self.beta is not None:
            formula = rf"\sum_{{i=1}}^{{N}} \left({d}\right)_i"
            self._write_parameter(book, self.B, "bias", gradient.sum(axis=0), formula)
        formula = chain
        before: Array = inner * self.scale
        if not self.constant:
            mean = inner.mean(axis=self.axis, keepdims=True)
            along = (inner * self.normal).mean(axis=self.axis, keepdims=True)
            before = (inner - mean - self.normal * along) * self.scale
            formula = (
                r"G - \operatorname{mean}(G) - "
                rf"{self.hat} \odot \operatorname{{mean}}(G \odot {self.hat})"
            )
        root = r"\sqrt{\nu + \varepsilon}"
        where = "" if self.constant else rf", \quad G = {chain}"
        self._write_input_gradient(book, before, rf"\frac{{{formula}}}{{{root}}}{where}")
        return before


class Flatten(ByHand):
    """Rows of any shape to rows of numbers; nothing is written where they are that already."""

    def _forward(self, flow: Flow, book: Book) -> None:
        if self.x.ndim == 2:
            return
        value = self.x.reshape(len(self.x), -1)
        formula = rf"\operatorname{{flatten}}({self.before.latex})"
        self._write(book, "A", flow.layer, value, formula)

    def backward(self, gradient: Array, book: Book) -> Array:
        before = gradient.reshape(self.x.shape)
        if self.after != self.before:
            formula = rf"\operatorname{{reshape}}({self.after.gradient})"
            self._write_input_gradient(book, before, formula)
        return before


class Foreign(ByHand):
    """A module whose formulas are not known here: everything is autograd's."""

    def _forward(self, flow: Flow, book: Book) -> None:
        self.after, self.y = book.symbol("A", flow.layer), self.call.output_value
        name = _latex_name(self.call.module)
        formula = rf"{name}({self.before.latex})"
        book.write(
            self.after, self.y, formula, self.y, module=self.where, by_hand=False, note=_FOREIGN
        )

    def backward(self, gradient: Array, book: Book) -> Array:
        for name, parameter in self.call.module.named_parameters():
            if parameter.grad is not None:
                symbol = book.symbol(rf"\mathrm{{{name.replace('_', '').replace('.', '')}}}")
                value = array_of(parameter.grad)
                book.write_gradient(
                    symbol, value, "", value, module=self.where, by_hand=False, parameter=True
                )
        before = self.call.input_gradient
        if before is None:
            return np.zeros_like(self.x)
        book.write_gradient(self.before, before, "", before, module=self.where, by_hand=False)
        return before


_FOREIGN = "from autograd: no formula for this module is known here"


class Residual(ByHand):
    """Y = X + f(X). Both ways add up in the backward pass."""

    copy: Symbol
    branch: Symbol

    def __init__(self, call: Call, block: list[ByHand]) -> None:
        super().__init__(call)
        self.block = block

    def _forward(self, flow: Flow, book: Book) -> None:
        self.copy = book.symbol("R", flow.layer)
        own = self.block[0].call if self.block else None
        reference = None if own is None or own.input is None else array_of(own.input)
        note = "what the block is given"
        book.write(self.copy, self.x, self.before.latex, reference, module=self.where, note=note)
        inner = Flow(self.copy, self.x, flow.layer)
        for layer in self.block:
            inner = layer.forward(inner, book)
        self.branch = inner.symbol
        flow.layer = inner.layer
        formula = f"{self.before.latex} + {inner.symbol.latex}"
        self._write(book, "Y", flow.layer, self.x + inner.value, formula)

    def backward(self, gradient: Array, book: Book) -> Array:
        d, after = gradient, self.after.gradient
        last = self.block[-1].call.output_gradient if self.block else None
        book.write_gradient(self.branch, d, after, last, module=self.where)
        for layer in reversed(self.block):
            d = layer.backward(d, book)
        before: Array = gradient + d
        self._write_input_gradient(book, before, f"{after} + {self.copy.gradient}")
        return before


def layer_of(call: Call, features: int) -> ByHand:
    """How one call is worked out. features: dimensions of its input, rows included."""
    kind = type(call.module)
    if kind in (nn.Linear, LinearLayer) and features == 2:
        return Linear(call)
    if pointwise(call.module) is not None:
        return Activation(call)
    if kind is nn.Flatten and (call.module.start_dim, call.module.end_dim) == (1, -1):  # type: ignore[comparison-overlap]
        return Flatten(call)
    if features == 2 and kind is nn.BatchNorm1d and _has_statistics(call.module):
        return Normalisation(call)
    if features == 2 and kind is nn.LayerNorm and len(call.module.normalized_shape) == 1:  # type: ignore[arg-type]
        return Normalisation(call)
    if features == 2 and kind in (nn.Softmax, nn.LogSoftmax) and call.module.dim in (1, -1):
        return Softmax(call) if kind is nn.Softmax else LogSoftmax(call)
    return Foreign(call)


def _has_statistics(module: Any) -> bool:
    return module.training or module.running_mean is not None


def _parameter(call: Call, name: str) -> Array | None:
    tensor = getattr(call.module, name)
    return None if tensor is None else array_of(tensor)


def _latex_name(module: nn.Module) -> str:
    return rf"\mathrm{{{type(module).__name__}}}"
