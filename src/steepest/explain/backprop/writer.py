"""What layers and the loss write their entries into."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from steepest.explain.backprop.entry import Array, LedgerEntry, Phase
from steepest.explain.backprop.symbols import Symbol


@dataclass
class LedgerWriter:
    """What layers write their entries into.

    rows: N, so that shapes can be written as N × 7. uses: of each parameter in layers that are
    worked out by hand, by its id. used_elsewhere: parameters that modules without a formula use
    too.
    """

    rows: int
    uses: Counter[int] = field(default_factory=Counter)
    used_elsewhere: set[int] = field(default_factory=set)
    entries: list[LedgerEntry] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    _symbols: dict[int, Symbol] = field(default_factory=dict)
    _contributions: dict[int, list[tuple[Array, str]]] = field(default_factory=dict)

    def symbol(self, letter: str, number: int | None = None) -> Symbol:
        """A symbol that no other quantity has: marks are added while it is taken."""
        symbol = Symbol(letter, number)
        while symbol.name in self._used:
            symbol = Symbol(letter, number, symbol.marks + 1)
        self._used.add(symbol.name)
        return symbol

    def symbol_of(self, parameter: object, letter: str, number: int) -> tuple[Symbol, bool]:
        """The symbol of a parameter, the same at each use, and whether this is the first one."""
        first = id(parameter) not in self._symbols
        if first:
            self._symbols[id(parameter)] = self.symbol(letter, number)
        return self._symbols[id(parameter)], first

    def add_contribution(
        self, parameter: object, value: Array, formula: str
    ) -> tuple[Array, str] | None:
        """Add what one use of a parameter sends back; the sum and its formula after the last."""
        shares = self._contributions.setdefault(id(parameter), [])
        shares.append((value, formula))
        if len(shares) < self.uses[id(parameter)]:
            return None
        total = np.sum([share for share, _ in shares], axis=0)
        return total, " + ".join(formula for _, formula in shares)

    def write(
        self,
        symbol: Symbol,
        value: Array,
        formula: str,
        autograd: Array | None,
        phase: Phase = "forward",
        *,
        module: str = "",
        by_hand: bool = True,
        note: str = "",
    ) -> None:
        """A quantity of the forward pass. formula: what it is equal to, in LaTeX."""
        full = f"{symbol.latex} = {formula}" if formula else ""
        self._add(symbol.name, symbol.latex, full, value, autograd, phase, module, by_hand, note)

    def write_parameter(self, symbol: Symbol, value: Array, *, module: str) -> None:
        """A parameter: known before the forward pass."""
        self._add(
            symbol.name, symbol.latex, "", value, None, "forward", module, False, "given", True
        )

    def write_gradient(
        self,
        of: Symbol,
        value: Array,
        formula: str,
        autograd: Array | None,
        *,
        module: str = "",
        by_hand: bool = True,
        note: str = "",
        parameter: bool = False,
    ) -> None:
        """A gradient of the backward pass. parameter: its first dimension is not that of rows."""
        full = f"{of.gradient} = {formula}" if formula else ""
        self._add(
            of.gradient_name,
            of.gradient,
            full,
            value,
            autograd,
            "backward",
            module,
            by_hand,
            note,
            parameter,
        )

    def _add(
        self,
        name: str,
        symbol: str,
        formula: str,
        value: Array,
        autograd: Array | None,
        phase: Phase,
        module: str,
        by_hand: bool,
        note: str,
        parameter: bool = False,
    ) -> None:
        value = np.asarray(value, dtype=np.float64)
        dimensions = self.dimensions(value, parameter=parameter)
        if parameter and value.ndim == 2:
            dimensions += " (out × in)"
        self.entries.append(
            LedgerEntry(
                name, symbol, formula, value, autograd, phase, dimensions, module, by_hand, note
            )
        )

    def dimensions(self, value: Array, *, parameter: bool = False) -> str:
        """The shape in the lecture's form: N × 7 for rows, 7 × 5 for a weight, scalar."""
        if value.ndim == 0:
            return "scalar"
        parts = [str(size) for size in value.shape]
        if not parameter and value.shape[0] == self.rows:
            parts[0] = "N"
        return " × ".join(parts)
