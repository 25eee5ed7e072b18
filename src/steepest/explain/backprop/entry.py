"""One entry of a ledger."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steepest.explain.backprop.symbols import plain

Array = NDArray[np.float64]
Phase = Literal["forward", "loss", "backward"]

# Ours and autograd's numbers agree if they differ by no more than this share of the largest one.
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class LedgerEntry:
    """One quantity of a ledger.

    Args:
        name: In plain characters, as "dL/dW1".
        symbol: In LaTeX.
        formula: What it is equal to, in LaTeX; empty where no formula is known.
        value: Its numbers in float64, worked out by hand, or autograd's where `by_hand` is False.
        autograd: What PyTorch gives for it in float64; None if it gives nothing to compare with.
        phase: "forward", "loss" or "backward".
        dimensions: Its shape in words: "N × 7" for N rows, "7 × 5 (out × in)" for a weight,
            "scalar".
        module: The module that it belongs to, as in `named_modules`, with its class.
        by_hand: Whether a formula of this library gave the value.
        note: What else is to be known.
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
        """Of the value."""
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


def greatest_difference(entries: Iterable[LedgerEntry]) -> float:
    """Between a number worked out by hand and autograd's, over all of them."""
    return max((e.difference for e in entries if e.difference is not None), default=0.0)
