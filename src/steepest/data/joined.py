"""JoinedPreprocessing: rows prepared in several ways side by side, for nets that see them apart."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl

from steepest.data.piecewise import PiecewiseColumns
from steepest.data.preprocessing import Inputs, Preprocessing, encode
from steepest.data.samples import Samples
from steepest.data.scaling import Scaler

_ROWS_AT_ONCE = 8192


def _is_alike(part: Preprocessing, other: Preprocessing) -> bool:
    """Whether two encode rows of a table in the same way."""
    if part.encoder is None or other.encoder is None:
        return False
    return part.encoder.to_json() == other.encoder.to_json()


@dataclass(frozen=True, eq=False)
class JoinedPreprocessing(Preprocessing):
    """Several preprocessings of the same rows; a prepared row is theirs one after the other.

    Attributes:
        parts: The preprocessings, each of tables or each of matrices.
    """

    parts: tuple[Preprocessing, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[Preprocessing]) -> Self:
        """Raises ValueError for parts that do not read the same rows."""
        first = parts[0]
        # Who encodes alike does it once: one object tells.
        parts = [
            replace(part, encoder=first.encoder) if _is_alike(part, first) else part
            for part in parts
        ]
        if any((part.encoder is None) != (first.encoder is None) for part in parts):
            raise ValueError("some of its preprocessings are of tables and some of arrays")
        if any(len(part.shape) != 1 for part in parts):
            raise ValueError("its preprocessings must give rows of one dimension")
        width = sum(part.shape[0] for part in parts)
        return cls(first.encoder, Scaler(), (width,), first.columns, False, None, tuple(parts))

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The columns of each part, (first, beyond the last)."""
        ends = list(itertools.accumulate(part.shape[0] for part in self.parts))
        return tuple(zip([0, *ends[:-1]], ends, strict=True))

    def prepare(self, samples: Samples, dtype: type[np.floating[Any]] = np.float32) -> Inputs:
        made = self._of_parts(samples, dtype)
        # A scaler that is applied on the way is that of a part alone.
        kept = [
            inputs.shape[0] if inputs.piecewise is None else inputs.piecewise for inputs in made
        ]
        ends = np.cumsum([k if isinstance(k, int) else k.kept for k in kept]).tolist()
        prepared = np.empty((len(samples), ends[-1]), dtype=dtype)
        for inputs, first, beyond in zip(made, [0, *ends[:-1]], ends, strict=True):
            plain = replace(inputs, piecewise=None)
            for start in range(0, len(inputs), _ROWS_AT_ONCE):
                stop = min(start + _ROWS_AT_ONCE, len(inputs))
                prepared[start:stop, first:beyond] = plain.block(start, stop)
        columns = PiecewiseColumns.beside(kept)
        return Inputs(prepared, None, Scaler(), made[-1].notes, columns)

    def _of_parts(self, samples: Samples, dtype: type[np.floating[Any]]) -> list[Inputs]:
        """The rows as each part prepares them; what they encode alike is encoded once."""
        first = self.parts[0]
        shared = [p for p in self.parts if p.encoder is first.encoder and p.numeric is not None]
        if first.encoder is None or not isinstance(samples.inputs, pl.DataFrame) or not shared:
            return [part.prepare(samples, dtype) for part in self.parts]
        encoded = encode(samples, first.encoder)
        return [
            part.prepare_encoded(encoded, dtype)
            if any(part is one for one in shared)
            else part.prepare(samples, dtype)
            for part in self.parts
        ]

    def summary(self) -> tuple[str, ...]:
        return self.parts[0].summary()

    def to_json(self) -> dict[str, Any]:
        return {"joined": [part.to_json() for part in self.parts]}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        return cls.of([Preprocessing.from_json(part) for part in state["joined"]])


def preprocessing_from_json(state: dict[str, Any]) -> Preprocessing:
    """The preprocessing, of whatever kind, that `to_json` gave. Raises as `from_json`."""
    kind = JoinedPreprocessing if "joined" in state else Preprocessing
    return kind.from_json(state)
