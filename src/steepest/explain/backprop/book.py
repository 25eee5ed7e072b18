"""The ledger's entries, and the book that they are written into."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steepest.explain.backprop.symbols import Symbol, plain

Array = NDArray[np.float64]
Phase = Literal["forward", "loss", "backward"]

# Ours and autograd's numbers agree if they differ by no more than this share of the largest one.
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Entry:
    """One quantity of the ledger.

    name: in plain characters, as "dL/dW1". symbol, formula: LaTeX; the formula is empty where none
    is known. value: float64, worked out by hand, or autograd's where `by_hand` is False.
    autograd: what PyTorch gives for it in float64. dimensions: "N × 7", or "7 × 5 (out × in)" of a
    weight. module: the module that it belongs to, as in `named_modules`, with its class.
    """

    name: str
    symbol: str
    formula: str
    value: Array
    autograd: Array | None
    phase: Phase
    dimensions: str
    module: str = ""
    by_hand: bool = True
    note: str = ""

    @property
    def plain(self) -> str:
        """The formula in plain characters."""
        return plain(self.formula)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def difference(self) -> float | None:
        """The largest difference to autograd, element by element; None if it is not by hand."""
        if not self.by_hand or self.autograd is None:
            return None
        same = (self.value == self.autograd) | (np.isnan(self.value) & np.isnan(self.autograd))
        with np.errstate(invalid="ignore"):
            apart = np.where(same, 0.0, np.abs(self.value - self.autograd))
        return float(apart.max()) if apart.size else 0.0

    @property
    def agrees(self) -> bool:
        """Whether ours and autograd's numbers are the same but for rounding."""
        if self.difference is None or self.autograd is None:
            return True
        finite = self.autograd[np.isfinite(self.autograd)]
        scale = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
        return self.difference <= _TOLERANCE * scale

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "name": self.name,
            "phase": self.phase,
            "module": self.module,
            "formula": self.formula,
            "shape": list(self.shape),
            "dimensions": self.dimensions,
            "value": self.value.tolist(),
            "by_hand": self.by_hand,
            "difference": self.difference,
        }


def greatest_difference(entries: Iterable[Entry]) -> float:
    """Between a number worked out by hand and autograd's, over all of them."""
    return max((e.difference for e in entries if e.difference is not None), default=0.0)


@dataclass
class Book:
    """What layers write their entries into.

    rows: N, so that shapes can be told as N × 7. uses: of each parameter in layers that are worked
    out by hand, by its id. elsewhere: parameters that modules without a formula use too.
    """

    rows: int
    uses: Counter[int] = field(default_factory=Counter)
    elsewhere: set[int] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    _symbols: dict[int, Symbol] = field(default_factory=dict)
    _shares: dict[int, list[tuple[Array, str]]] = field(default_factory=dict)

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

    def share(self, parameter: object, value: Array, formula: str) -> tuple[Array, str] | None:
        """Add what one use of a parameter sends back; the sum and its formula after the last."""
        shares = self._shares.setdefault(id(parameter), [])
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

    def write_given(self, symbol: Symbol, value: Array, *, module: str) -> None:
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
            Entry(name, symbol, formula, value, autograd, phase, dimensions, module, by_hand, note)
        )

    def dimensions(self, value: Array, *, parameter: bool = False) -> str:
        """The shape in the lecture's form: N × 7 for rows, 7 × 5 for a weight, scalar."""
        if value.ndim == 0:
            return "scalar"
        parts = [str(size) for size in value.shape]
        if not parameter and value.shape[0] == self.rows:
            parts[0] = "N"
        return " × ".join(parts)
