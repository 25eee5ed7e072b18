"""Layers by hand: forward and backward in NumPy and float64, each with its formula."""

from typing import Any

import numpy as np
from scipy import special
from torch import nn

from steepest.explain.backprop.entry import Array
from steepest.explain.backprop.manual_layer import Activations, ManualLayer
from steepest.explain.backprop.pointwise import pointwise
from steepest.explain.backprop.reference import Call, array_of
from steepest.explain.backprop.symbols import Symbol
from steepest.explain.backprop.writer import LedgerWriter
from steepest.nn import LinearLayer


class ManualLinear(ManualLayer):
    """Z = A Wᵀ + b. torch keeps W as out × in, and so does the lecture."""

    weight: Array | None
    bias: Array | None
    W: Symbol
    b: Symbol

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        activations.layer += 1
        self.weight, self.bias = _parameter(self.call, "weight"), _parameter(self.call, "bias")
        assert self.weight is not None
        self.W = self._given(writer, "weight", "W", activations.layer)
        z, formula = self.x @ self.weight.T, rf"{self.input_symbol.latex}\,{self.W.transposed}"
        if self.bias is not None:
            self.b = self._given(writer, "bias", "b", activations.layer)
            z, formula = z + self.bias, f"{formula} + {self.b.latex}"
        self._write(writer, "Z", activations.layer, z, formula)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        d = self.output_symbol.gradient
        formula = rf"\left({d}\right)^{{\top}} {self.input_symbol.latex}"
        self._write_parameter_gradient(writer, self.W, "weight", gradient.T @ self.x, formula)
        if self.bias is not None:
            formula = rf"\sum_{{i=1}}^{{N}} \left({d}\right)_i"
            self._write_parameter_gradient(writer, self.b, "bias", gradient.sum(axis=0), formula)
        assert self.weight is not None
        before: Array = gradient @ self.weight
        self._write_input_gradient(writer, before, rf"{d}\,{self.W.latex}")
        return before


class ManualActivation(ManualLayer):
    """A = g(Z), element by element; dL/dZ = dL/dA ⊙ g'(Z)."""

    slope: Array
    slope_formula: str

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        known = pointwise(self.call.module)
        assert known is not None
        value, self.slope = known.compute(self.x, self.call.module)
        # Its own symbol is not in the formula of the value, so that it may be made after that.
        formula = self._in_symbols(known.value)
        self._write(writer, known.letter, activations.layer, value, formula, known.note)
        self.slope_formula = self._in_symbols(known.slope)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        formula = self.output_symbol.gradient + (
            rf" \odot {self.slope_formula}" * bool(self.slope_formula)
        )
        before: Array = gradient * self.slope
        self._write_input_gradient(writer, before, formula)
        return before

    def _in_symbols(self, formula: str) -> str:
        slope = f"{getattr(self.call.module, 'negative_slope', 0.0):g}"
        parts = {"<Z>": self.input_symbol.latex, "<A>": self.output_symbol.latex, "<slope>": slope}
        for name, latex in parts.items():
            formula = formula.replace(name, latex)
        return formula


class ManualSoftmax(ManualLayer):
    """A = softmax(Z), row by row, as a module of the net."""

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        value = special.softmax(self.x, axis=1)
        formula = rf"\operatorname{{softmax}}({self.input_symbol.latex})"
        self._write(writer, "A", activations.layer, value, formula)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        before: Array = self.y * (gradient - (gradient * self.y).sum(axis=1, keepdims=True))
        d, a = self.output_symbol.gradient, self.output_symbol.latex
        formula = rf"{a} \odot \left({d} - \sum_j \left({d} \odot {a}\right)_j\right)"
        self._write_input_gradient(writer, before, formula)
        return before


class ManualLogSoftmax(ManualLayer):
    """A = log softmax(Z), row by row, as a module of the net."""

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        value = special.log_softmax(self.x, axis=1)
        formula = rf"\log \operatorname{{softmax}}({self.input_symbol.latex})"
        self._write(writer, "A", activations.layer, value, formula)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        before: Array = gradient - np.exp(self.y) * gradient.sum(axis=1, keepdims=True)
        d = self.output_symbol.gradient
        formula = rf"{d} - \exp({self.output_symbol.latex}) \odot \sum_j \left({d}\right)_j"
        self._write_input_gradient(writer, before, formula)
        return before


class ManualNormalisation(ManualLayer):
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

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
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
        hat = writer.symbol(r"\hat{Z}", activations.layer)
        z, self.hat = self.input_symbol.latex, hat.latex
        over = "running" if self.constant else ("of the rows" if self.axis == 0 else "of each row")
        note = f"μ, v: mean and variance, {over}; ε = {module.eps:g}"
        formula = rf"\frac{{{z} - \mu}}{{\sqrt{{\nu + \varepsilon}}}}"
        writer.write(hat, self.normal, formula, None, module=self.module_name, note=note)
        value, formula = self.normal, self.hat
        if self.gamma is not None:
            self.G = self._given(writer, "weight", r"\gamma", activations.layer)
            value, formula = value * self.gamma, rf"{self.G.latex} \odot {formula}"
        if self.beta is not None:
            self.B = self._given(writer, "bias", r"\beta", activations.layer)
            value, formula = value + self.beta, f"{formula} + {self.B.latex}"
        self._write(writer, "U", activations.layer, value, formula)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        d = self.output_symbol.gradient
        inner, chain = gradient, d
        if self.gamma is not None:
            formula = rf"\sum_{{i=1}}^{{N}} \left({d} \odot {self.hat}\right)_i"
            value = (gradient * self.normal).sum(axis=0)
            self._write_parameter_gradient(writer, self.G, "weight", value, formula)
            inner, chain = gradient * self.gamma, rf"{d} \odot {self.G.latex}"
        if self.beta is not None:
            formula = rf"\sum_{{i=1}}^{{N}} \left({d}\right)_i"
            self._write_parameter_gradient(writer, self.B, "bias", gradient.sum(axis=0), formula)
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
        self._write_input_gradient(writer, before, rf"\frac{{{formula}}}{{{root}}}{where}")
        return before


class ManualFlatten(ManualLayer):
    """Rows of any shape to rows of numbers; nothing is written where they are that already."""

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        if self.x.ndim == 2:
            return
        value = self.x.reshape(len(self.x), -1)
        formula = rf"\operatorname{{flatten}}({self.input_symbol.latex})"
        self._write(writer, "A", activations.layer, value, formula)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        before = gradient.reshape(self.x.shape)
        if self.output_symbol != self.input_symbol:
            formula = rf"\operatorname{{reshape}}({self.output_symbol.gradient})"
            self._write_input_gradient(writer, before, formula)
        return before


class AutogradLayer(ManualLayer):
    """A module whose formulas are not known here: everything is autograd's."""

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        self.output_symbol, self.y = writer.symbol("A", activations.layer), self.call.output_value
        name = _latex_name(self.call.module)
        formula = rf"{name}({self.input_symbol.latex})"
        writer.write(
            self.output_symbol,
            self.y,
            formula,
            self.y,
            module=self.module_name,
            by_hand=False,
            note=_FOREIGN,
        )

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        for name, parameter in self.call.module.named_parameters():
            if parameter.grad is not None:
                symbol = writer.symbol(rf"\mathrm{{{name.replace('_', '').replace('.', '')}}}")
                value = array_of(parameter.grad)
                writer.write_gradient(
                    symbol, value, "", value, module=self.module_name, by_hand=False, parameter=True
                )
        before = self.call.input_gradient
        if before is None:
            return np.zeros_like(self.x)
        writer.write_gradient(
            self.input_symbol, before, "", before, module=self.module_name, by_hand=False
        )
        return before


_FOREIGN = "from autograd: no formula for this module is known here"


class ManualResidual(ManualLayer):
    """Y = X + f(X). Both ways add up in the backward pass."""

    copy: Symbol
    branch: Symbol

    def __init__(self, call: Call, block: list[ManualLayer]) -> None:
        super().__init__(call)
        self.block = block

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        self.copy = writer.symbol("R", activations.layer)
        first = self.block[0].call if self.block else None
        reference = None if first is None or first.input is None else array_of(first.input)
        note = "what the block is given"
        writer.write(
            self.copy,
            self.x,
            self.input_symbol.latex,
            reference,
            module=self.module_name,
            note=note,
        )
        inner = Activations(self.copy, self.x, activations.layer)
        for layer in self.block:
            inner = layer.forward(inner, writer)
        self.branch = inner.symbol
        activations.layer = inner.layer
        formula = f"{self.input_symbol.latex} + {inner.symbol.latex}"
        self._write(writer, "Y", activations.layer, self.x + inner.value, formula)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        d, after = gradient, self.output_symbol.gradient
        last = self.block[-1].call.output_gradient if self.block else None
        writer.write_gradient(self.branch, d, after, last, module=self.module_name)
        for layer in reversed(self.block):
            d = layer.backward(d, writer)
        before: Array = gradient + d
        self._write_input_gradient(writer, before, f"{after} + {self.copy.gradient}")
        return before


def layer_of(call: Call, features: int) -> ManualLayer:
    """How one call is worked out. features: dimensions of its input, rows included."""
    kind = type(call.module)
    if kind in (nn.Linear, LinearLayer) and features == 2:
        return ManualLinear(call)
    if pointwise(call.module) is not None:
        return ManualActivation(call)
    if kind is nn.Flatten and (call.module.start_dim, call.module.end_dim) == (1, -1):  # type: ignore[comparison-overlap]
        return ManualFlatten(call)
    if features == 2 and kind is nn.BatchNorm1d and _has_statistics(call.module):
        return ManualNormalisation(call)
    if features == 2 and kind is nn.LayerNorm and len(call.module.normalized_shape) == 1:  # type: ignore[arg-type]
        return ManualNormalisation(call)
    if features == 2 and kind in (nn.Softmax, nn.LogSoftmax) and call.module.dim in (1, -1):
        return ManualSoftmax(call) if kind is nn.Softmax else ManualLogSoftmax(call)
    return AutogradLayer(call)


def _has_statistics(module: Any) -> bool:
    return module.training or module.running_mean is not None


def _parameter(call: Call, name: str) -> Array | None:
    tensor = getattr(call.module, name)
    return None if tensor is None else array_of(tensor)


def _latex_name(module: nn.Module) -> str:
    return rf"\mathrm{{{type(module).__name__}}}"
