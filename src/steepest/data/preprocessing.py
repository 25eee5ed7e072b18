"""Preprocessing: from samples as they came to the rows that a net takes; saved with the model."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.blocks import blocks, require_finite, require_room, require_whole
from steepest.data.classes import shorten
from steepest.data.columns import Place, as_numbers
from steepest.data.encoding import TableEncoder
from steepest.data.numeric import KINDS, NumericTransform
from steepest.data.piecewise import PiecewiseColumns
from steepest.data.samples import Samples
from steepest.data.scaling import Scaler
from steepest.errors import DataError, did_you_mean
from steepest.recipe import SCALINGS

# Bytes that reach above this are pixels; below it they may be counts.
_MOST_COUNT = 100


@dataclass(frozen=True, eq=False)
class Inputs:
    """Prepared rows. A net is fed (x - offset) * factor + shift of `scaler`, x a row of `array`.

    array: (M, ...) uint8, float32, int64, or float64 for a model of that; perhaps memory-mapped.
    rows: (N,) the rows of the array that are meant, in order; None for all. scaler: the identity
    where it has been applied. notes: what in these rows training never saw. piecewise: how a net's
    columns are made of a row where some are piecewise linear, else None; the scaler is the identity
    then.
    """

    array: NDArray[Any]
    rows: NDArray[np.int64] | None
    scaler: Scaler
    notes: tuple[str, ...] = ()
    piecewise: PiecewiseColumns | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row as a net takes it."""
        return self.array.shape[1:] if self.piecewise is None else (self.piecewise.width,)

    def columns(self, first: int, beyond: int) -> "Inputs":
        """The same rows with the columns first .. beyond-1 of (N, n) alone; nothing is copied."""
        if self.piecewise is None:
            return replace(self, array=self.array[:, first:beyond], scaler=Scaler())
        kept, piecewise = self.piecewise.within(first, beyond)
        return replace(self, array=self.array[:, kept], piecewise=piecewise)

    def __len__(self) -> int:
        return len(self.array) if self.rows is None else len(self.rows)

    def block(self, start: int, stop: int) -> NDArray[Any]:
        """The scaled rows start .. stop-1, (stop - start, ...) float32, or float64 as the array."""
        some = slice(start, stop) if self.rows is None else self.rows[start:stop]
        if self.piecewise is not None:
            return self.piecewise.expand(self.array[some])
        double = self.array.dtype == np.float64
        return self.scaler.apply(self.array[some], np.float64 if double else np.float32)


class PreparedPart(NamedTuple):
    """Labelled rows as a net takes them: N inputs and their targets.

    Attributes:
        inputs: N rows.
        targets: (N,) int64 class indices; (N, C) of 0 and 1 where a row may have several classes.
        weights: (N,) float32, how much the loss of each row counts; None for 1 each.
    """

    inputs: Inputs
    targets: NDArray[np.int64]
    weights: NDArray[np.float32] | None = None

    def some(self, most: int) -> "PreparedPart":
        """At most this many rows, evenly spread."""
        if len(self.targets) <= most:
            return self
        some = np.linspace(0, len(self.targets) - 1, most).astype(np.int64)
        rows = some if self.inputs.rows is None else self.inputs.rows[some]
        weights = None if self.weights is None else self.weights[some]
        return PreparedPart(replace(self.inputs, rows=rows), self.targets[some], weights)


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What the training rows taught about their inputs.

    encoder: of a table, None for arrays. scaler: of an array; a table's is in its encoder. shape:
    of one prepared row. columns: what the columns of an array were called, if they had names.
    integers: whether the rows are integers and stay such, for a model that looks them up. numeric:
    what becomes of the columns of numbers after that, None if nothing does.
    """

    encoder: TableEncoder | None
    scaler: Scaler
    shape: tuple[int, ...]
    columns: tuple[str, ...] | None = None
    integers: bool = False
    numeric: NumericTransform | None = None

    @classmethod
    def fit(
        cls,
        train: Samples,
        scaling: str = "auto",
        scaling_range: tuple[float, ...] = (0.0, 1.0),
        *,
        bins: int = 24,
        integers: bool = False,
    ) -> Self:
        """The preprocessing of these training samples.

        scaling: "standardise", "minmax", "pixels" (/255), "none"; for tables and matrices "robust",
        "quantile" and "piecewise" (of so many `bins`), see NumericTransform; or "auto": pixels for
        images of bytes, standardise for tables and matrices; other arrays are standardised by one
        mean and deviation unless they lie in [-1, 1] already. scaling_range: the interval [l, u] of
        "minmax". integers: keep integers, unscaled ("none"), as such. Raises
        DataError.
        """
        if scaling not in SCALINGS:
            hint = did_you_mean(scaling, SCALINGS) or f": choose one of {', '.join(SCALINGS)}"
            raise DataError(f"unknown scaling {scaling!r}{hint}")
        low, high = scaling_range
        # Those two know the scale of a column by its quantiles.
        affine = "none" if scaling in ("quantile", "piecewise") else scaling
        if not len(train):
            raise DataError(f"{train.source} has no rows to train on")
        if isinstance(train.inputs, pl.DataFrame):
            frame = _frame(train)
            kind = "standardise" if scaling == "auto" else affine
            encoder = TableEncoder.fit(
                frame,
                kind,
                Place(train.source, train.rows),
                low=low,
                high=high,
                commas=train.commas,
            )
            if scaling not in KINDS:
                return cls(encoder, Scaler(), (len(encoder.feature_names),))
            encoded = encoder.transform(frame, Place(train.source, train.rows), np.float64)
            numeric = NumericTransform.fit(scaling, encoded, encoder.numeric_features, bins)
            return cls(encoder, Scaler(), (numeric.outputs,), numeric=numeric)
        inputs = train.inputs
        if inputs.ndim < 2 or 0 in inputs.shape:
            raise DataError(
                f"{train.source} has the shape {inputs.shape}; (N, n) or (N, ...) with at least "
                "one feature is needed"
            )
        require_finite(inputs, train.rows, train.source)
        if scaling in KINDS and inputs.ndim != 2:
            raise DataError(
                f"{train.source} has rows of shape {inputs.shape[1:]}, and scaling {scaling!r} is "
                "for tables and matrices (N, n): choose pixels, standardise, minmax or none"
            )
        kind = _auto(train) if scaling == "auto" else affine
        scaler = Scaler.fit(kind, inputs, train.rows, low=low, high=high)
        if scaling not in KINDS:
            return cls(None, scaler, inputs.shape[1:], train.columns, integers)
        numeric = NumericTransform.fit(
            scaling, inputs, np.arange(inputs.shape[1]), bins, rows=train.rows
        )
        return cls(None, scaler, (numeric.outputs,), train.columns, False, numeric)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The columns of a prepared row that hold a number each, as one; () for images and bins."""
        if self.integers or len(self.shape) != 1 or (self.numeric and self.numeric.has_bins):
            return ()
        if self.encoder is None:
            return tuple(range(self.shape[0]))
        return tuple(self.encoder.numeric_features.tolist())

    @property
    def categories(self) -> tuple[tuple[int, int], ...]:
        """Of each column of words its columns of a prepared row, (first, beyond the last)."""
        spans = () if self.encoder is None else self.encoder.word_spans
        if self.numeric is None:
            return spans
        starts = self.numeric.starts.tolist()
        return tuple((starts[first], starts[beyond]) for first, beyond in spans)

    def prepare(self, samples: Samples, dtype: type[np.floating[Any]] = np.float32) -> Inputs:
        """The rows as the net takes them. dtype: float64 for a net that computes in it.

        uint8 and float32 arrays, and those of dtype, are neither copied nor read through, only
        checked: they are scaled on the way. All else becomes one array of dtype, scaled in float64.
        Raises DataError.
        """
        if self.encoder is not None:
            if not isinstance(samples.inputs, pl.DataFrame):
                raise DataError(
                    f"{samples.source} is an array, but training had a table with named columns"
                )
            if self.numeric is not None:
                return self.prepare_encoded(encode(samples, self.encoder), dtype)
            frame, place = _as_trained(samples, self.encoder), Place(samples.source, samples.rows)
            notes = self.encoder.unseen(frame, place)
            return Inputs(self.encoder.transform(frame, place, dtype), None, Scaler(), notes)
        inputs = self._array(samples)
        require_finite(inputs, samples.rows, samples.source)
        kept = (np.int64,) if self.integers else (np.uint8, np.float32, dtype)
        if self.numeric is None and inputs.dtype in kept and inputs.flags.c_contiguous:
            return Inputs(inputs, samples.rows, self.scaler)
        if self.integers:
            require_whole(inputs, samples.rows, samples.source)
            taken = inputs if samples.rows is None else inputs[samples.rows]
            return Inputs(taken.astype(np.int64, order="C"), None, self.scaler)
        columns = None if self.numeric is None else self.numeric.columns
        shape = self.shape if columns is None else (columns.kept,)
        prepared = np.empty((len(samples), *shape), dtype=dtype)
        start = 0
        for block in blocks(inputs, samples.rows):
            prepared[start : start + len(block)] = self._scaled(block, dtype)
            start += len(block)
        if not np.isfinite(prepared).all():
            require_room(inputs, samples.rows, samples.source, partial(self._fits, dtype=dtype))
        return Inputs(prepared, None, Scaler(), piecewise=columns)

    def prepare_encoded(
        self, encoded: "Encoded", dtype: type[np.floating[Any]] = np.float32
    ) -> Inputs:
        """As `prepare`, of rows of a table that its encoder has made numbers."""
        assert self.numeric is not None
        rows, place, notes = encoded
        prepared = self.numeric.code(rows, dtype)
        wrong = np.flatnonzero(~np.isfinite(prepared).all(axis=1))
        if wrong.size:
            raise DataError(
                f"{place.source}: row {place.row(wrong[0])}, one of {wrong.size}, holds a value "
                "that is too large for the model's numbers when scaled as in training"
            )
        return Inputs(prepared, None, Scaler(), notes, self.numeric.columns)

    def _fits(self, block: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[np.bool_]:
        """Which values of a block stay finite."""
        if self.numeric is None:
            fits: NDArray[np.bool_] = np.isfinite(self.scaler.apply(block, dtype))
            return fits
        return self.numeric.fits(self.scaler.apply(block, np.float64), dtype)

    def _scaled(self, block: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[Any]:
        if self.numeric is None:
            return self.scaler.apply(block, dtype)
        return self.numeric.code(self.scaler.apply(block, np.float64), dtype)

    def summary(self) -> tuple[str, ...]:
        """What is done with the inputs, in plain lines."""
        if self.encoder is not None:
            how = "" if self.numeric is None else f", numbers {self.numeric.described}"
            return (f"{self.shape[0]} features from a table{how}:", *self.encoder.summary())
        kind = self.scaler.kind if self.numeric is None else self.numeric.described
        lines = [f"inputs of shape {self.shape}, scaling: {kind}"]
        if constant := tuple(map(str, self.scaler.constant)):
            lines.append(f"constant columns, which carry no information: {shorten(constant)}")
        return tuple(lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "encoder": None if self.encoder is None else self.encoder.to_json(),
            "scaler": self.scaler.to_json(),
            "shape": list(self.shape),
            "columns": None if self.columns is None else list(self.columns),
            "integers": self.integers,
            "numeric": None if self.numeric is None else self.numeric.to_json(),
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        encoder, scaler = state["encoder"], Scaler.from_json(state["scaler"])
        shape = tuple(map(int, state["shape"]))
        numeric = state.get("numeric")
        transform = None if numeric is None else NumericTransform.from_json(numeric)
        table = None if encoder is None else TableEncoder.from_json(encoder)
        before = shape if transform is None else (transform.width,)
        for part in (scaler.offset, scaler.factor):
            if part.ndim and part.shape != before:
                raise ValueError(f"its scaler is for rows of shape {part.shape}, not {before}")
        if transform is not None:
            if table is not None and before != (len(table.feature_names),):
                raise ValueError(f"its quantiles are for {before[0]} features of a table")
            if shape != (transform.outputs,):
                raise ValueError(f"its quantiles give {transform.outputs} features, not {shape}")
        columns = state.get("columns")
        return cls(
            table,
            scaler,
            shape,
            None if columns is None else tuple(map(str, columns)),
            bool(state.get("integers", False)),
            transform,
        )

    def _array(self, samples: Samples) -> NDArray[Any]:
        inputs = samples.inputs
        if isinstance(inputs, pl.DataFrame):
            if self.columns is not None:
                lacking = [name for name in self.columns if name not in inputs.columns]
                if lacking:
                    raise DataError(f"{samples.source} lacks the column {lacking[0]!r}")
                inputs = inputs.select(self.columns)
            try:  # a table of numbers alone stands for the matrix that training had
                inputs = _as_matrix(inputs, samples)
            except DataError as error:
                raise DataError(
                    f"{samples.source} is a table, but training had an array of numbers: {error}"
                ) from None
        elif None not in (self.columns, samples.columns) and samples.columns != self.columns:
            raise DataError(f"{samples.source} has other columns than training had")
        expected = self.shape if self.numeric is None else (self.numeric.width,)
        if inputs.shape[1:] != expected:
            alone = "; one row alone is x[None]" if inputs.shape == expected else ""
            raise DataError(
                f"{samples.source} has rows of shape {inputs.shape[1:]}, but training had "
                f"{expected}{alone}"
            )
        return inputs


def _frame(samples: Samples) -> pl.DataFrame:
    assert isinstance(samples.inputs, pl.DataFrame)
    return samples.inputs if samples.rows is None else samples.inputs[samples.rows]


class Encoded(NamedTuple):
    """Rows of a table as numbers that are not yet scaled.

    Attributes:
        rows: (N, F) float64, column by column, as they are written and read.
        place: What they are called in messages.
        notes: On words that training never saw.
    """

    rows: NDArray[np.float64]
    place: Place
    notes: tuple[str, ...]


def encode(samples: Samples, encoder: TableEncoder) -> Encoded:
    """The rows of a table as an encoder makes them numbers. Raises DataError."""
    frame, place = _as_trained(samples, encoder), Place(samples.source, samples.rows)
    notes = encoder.unseen(frame, place)
    return Encoded(encoder.transform(frame, place, np.float64, order="F"), place, notes)


def _as_trained(samples: Samples, encoder: TableEncoder) -> pl.DataFrame:
    """The rows of a table; as text where a file's own types are not those of the training."""
    frame, text = _frame(samples), samples.text
    if text is not None and samples.rows is not None:
        text = text[samples.rows]
    return _as_written(frame, text, encoder.to_reread(frame, samples.commas))


def _as_matrix(frame: pl.DataFrame, samples: Samples) -> NDArray[np.float64]:
    """A table of numbers as the matrix of them. Raises DataError for a column that is none."""
    misread = [s.name for s in frame if s.name in samples.commas or not s.dtype.is_numeric()]
    place = Place(samples.source)
    columns = [
        as_numbers(series, place, "number") for series in _as_written(frame, samples.text, misread)
    ]
    return np.stack(columns, axis=1)


def _as_written(frame: pl.DataFrame, text: pl.DataFrame | None, names: list[str]) -> pl.DataFrame:
    """The frame with these columns as text, where a file held them as text."""
    known = () if text is None else text.columns
    return frame if text is None else frame.with_columns(text[n] for n in names if n in known)


def _auto(train: Samples) -> str:
    inputs = train.inputs
    assert isinstance(inputs, np.ndarray)
    largest = max(float(np.abs(block).max()) for block in blocks(inputs, train.rows))
    if inputs.dtype == np.uint8 and (inputs.ndim > 2 or largest > _MOST_COUNT):
        return "pixels"
    return "none" if inputs.ndim > 2 and largest <= 1 else "standardise"
