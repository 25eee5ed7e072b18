"""What a layer that is worked out by hand has, whatever its kind."""

from dataclasses import dataclass

from steepest.explain.backprop.entry import Array
from steepest.explain.backprop.reference import Call, array_of
from steepest.explain.backprop.symbols import Symbol
from steepest.explain.backprop.writer import LedgerWriter


@dataclass
class Activations:
    """What goes from layer to layer: a symbol and its numbers. layer: linear layers so far."""

    symbol: Symbol
    value: Array
    layer: int = 0


class ManualLayer:
    """One layer. `forward` writes what it computes, `backward` turns dL/d(output) to dL/d(input).

    call: what PyTorch computed in this layer, which every number is compared with. The attributes
    declared here, and below in each kind of layer, are what `forward` leaves for `backward`.
    """

    input_symbol: Symbol
    output_symbol: Symbol
    x: Array
    y: Array

    def __init__(self, call: Call) -> None:
        self.call = call
        self.module_name = f"{call.name} ({type(call.module).__name__})"

    def forward(self, activations: Activations, writer: LedgerWriter) -> Activations:
        self.input_symbol, self.x = activations.symbol, activations.value
        self.output_symbol, self.y = self.input_symbol, self.x
        self._forward(activations, writer)
        return Activations(self.output_symbol, self.y, activations.layer)

    def backward(self, gradient: Array, writer: LedgerWriter) -> Array:
        raise NotImplementedError

    def _forward(self, activations: Activations, writer: LedgerWriter) -> None:
        raise NotImplementedError

    def _write(
        self,
        writer: LedgerWriter,
        letter: str,
        number: int | None,
        value: Array,
        formula: str,
        note: str = "",
    ) -> None:
        """The layer's output."""
        self.output_symbol, self.y = writer.symbol(letter, number), value
        writer.write(
            self.output_symbol,
            value,
            formula,
            self.call.output_value,
            module=self.module_name,
            note=note,
        )

    def _given(self, writer: LedgerWriter, name: str, letter: str, number: int) -> Symbol:
        """The symbol of a parameter, whose numbers are written at its first use."""
        parameter = getattr(self.call.module, name)
        symbol, first = writer.symbol_of(parameter, letter, number)
        if first:
            writer.write_parameter(symbol, array_of(parameter), module=self.module_name)
        return symbol

    def _write_input_gradient(self, writer: LedgerWriter, value: Array, formula: str) -> None:
        writer.write_gradient(
            self.input_symbol, value, formula, self.call.input_gradient, module=self.module_name
        )

    def _write_parameter_gradient(
        self, writer: LedgerWriter, symbol: Symbol, name: str, value: Array, formula: str
    ) -> None:
        """The gradient of a parameter, the sum over its uses if it has several."""
        parameter = getattr(self.call.module, name)
        total = writer.add_contribution(parameter, value, formula)
        if total is None:
            return  # written when its earlier uses are worked out too
        elsewhere = id(parameter) in writer.used_elsewhere
        note = "frozen: no optimizer moves it" if parameter.grad is None else ""
        if elsewhere:
            note = "of this layer alone; other code uses it too"
        compared = parameter.grad is not None and not elsewhere
        writer.write_gradient(
            symbol,
            *total,
            array_of(parameter.grad) if compared else None,
            module=self.module_name,
            parameter=True,
            note=note,
        )
