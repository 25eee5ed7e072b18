"""The data of a script: how they are read, split and prepared."""

import csv
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl

from steepest.data import MISSING, Column, TableEncoder
from steepest.data.sources.csv import CsvForm
from steepest.data.sources.frames import target_column
from steepest.export.script.arrays import array_parts, not_written, npz_names
from steepest.export.script.compose import Constants
from steepest.export.script.pieces import data, frames, text
from steepest.export.script.scaling import scaling_of
from steepest.training.preparation import Preparation

_HEAD = '''def load_data() -> dict[str, tuple[Tensor, Tensor]]:
    """The rows of each part as the net takes them, and their classes as indices."""'''
_END = """    y = torch.from_numpy(y)
    return {part: (X[own], y[own]) for part, own in rows.items()}"""
_DELIMITED, _FRAMES = (".csv", ".tsv", ".txt"), (".parquet",)


class DataWriter:
    """Writes how the data of a run become tensors.

    Attributes:
        code: Functions, the last of them `load_data`.
        pieces: The modules of those that it uses.
        constants: What these use.

    Args:
        prepared: The run's data.
        dtype: Of its net.

    Raises:
        RunError: A script cannot read such data.
    """

    constants: Constants
    pieces: tuple[ModuleType, ...]

    def __init__(self, prepared: Preparation, dtype: str) -> None:
        recipe = self._recipe = prepared.plan.recipe
        self._dataset, self._classes = prepared.dataset, prepared.classifier.classes
        self._preprocessing, self._dtype = prepared.classifier.preprocessing, dtype
        assert recipe.data is not None
        self._sources = self._files()
        self._masked = "is_test" in npz_names(recipe.data)
        self.pieces = (data,)
        self.constants = {}
        self._shares = self._shares_taken()
        encoder = self._preprocessing.encoder
        self.code = tuple(self._array() if encoder is None else self._table(encoder))
        self.constants |= {
            "SHARES": (self._shares, "of the rows of each class"),
            "RANGE": (recipe.scaling_range, "of the training rows when scaled"),
            "BINS": (recipe.bins, "between quantiles of a column"),
        }

    def _files(self) -> dict[str, str]:
        """What each part is read from, where it is not taken from the training rows."""
        recipe = self._recipe
        parts = {"train": recipe.data, "validation": recipe.validation, "test": recipe.test}
        return {name: value for name, value in parts.items() if isinstance(value, str)}

    def _shares_taken(self) -> dict[str, float]:
        """The parts that are taken from the training rows, in the order in which they are."""
        asked = {"test": self._recipe.test, "validation": self._recipe.validation}
        return {
            name: share
            for name, share in asked.items()
            if isinstance(share, float) and share
            if getattr(self._dataset, name) is not None and not self._is_given(name)
        }

    def _is_given(self, part: str) -> bool:
        """Whether a part came as such, and was not taken from the training rows."""
        if part == "test" and self._masked and "test" not in self._sources:
            return True
        samples, train = getattr(self._dataset, part), self._dataset.train
        return samples is not None and samples.inputs is not train.inputs

    # Arrays.

    def _array(self) -> Iterator[str]:
        train = self._dataset.train.inputs
        assert isinstance(train, np.ndarray)
        scaling = scaling_of(self._preprocessing, train.dtype, self._dtype)
        if scaling.code:
            yield scaling.code
        yield "\n".join([_HEAD, *self._read_arrays(), f"    X = {scaling.rows}", _END])

    def _read_arrays(self) -> Iterator[str]:
        """X, y and the rows of each part."""
        if len(self._sources) > 1:
            source = self._sources["train"]
            raise not_written("parts of arrays that lie in files of their own", source)
        given = [p for p in ("validation", "test") if self._is_given(p)]
        within, parts, constants = array_parts(self._recipe, self._dataset, given)
        self.constants |= constants
        if "MODE" in constants:
            from steepest.export.script.pieces import images  # with its extra: Pillow

            self.pieces = (data, images)
        if within:
            yield f"    with {within}:"
        indent = "        " if within else "    "
        if len(parts) == 1:
            yield f"{indent}X, labels = {parts['train']}"
            yield from self._indices("labels")
            yield from self._rows()
            return
        yield f"{indent}parts = {{"
        yield from (f'{indent}    "{name}": {pair},' for name, pair in parts.items())
        yield f"{indent}}}"
        yield "    X, labels, rows = joined(parts)"
        yield from self._indices("labels")
        yield from self._more_rows()

    # Tables.

    def _table(self, encoder: TableEncoder) -> Iterator[str]:
        for part, source in self._sources.items():
            name = "DATA" if part == "train" else f"{part.upper()}_DATA"
            self.constants[name] = (source, "")
        scaling = scaling_of(self._preprocessing, None, self._dtype)
        if scaling.code:
            yield scaling.code
        kinds = {column.name: self._kind(column) for column in encoder.columns}
        read, labels = self._read_table()
        self.constants["COLUMNS"] = (kinds, "")
        table = "pl.DataFrame" if frames in self.pieces else "dict[str, np.ndarray]"
        yield _encoder_code(encoder, kinds, table, scaled=bool(scaling.code))
        body = [*read, *self._indices(labels)]
        body += self._rows() if len(self._sources) == 1 else self._more_rows()
        encoded = f'torch.tensor(encode(table, rows["train"]), dtype=torch.{self._dtype})'
        yield "\n".join([_HEAD, *body, f"    X = {encoded}", _END])

    def _kind(self, column: Column) -> str:
        if column.quantity in ("time", "duration"):
            raise not_written(f"a column of {column.quantity}s, {column.name!r}", "")
        if column.kind == "number" and column.quantity == "date":
            return "date"
        return "comma" if column.decimal == "," and column.kind == "number" else column.kind

    def _read_table(self) -> tuple[list[str], str]:
        """The lines that make `table`, and `rows` where parts are files; the labels."""
        endings = {Path(source).suffix.lower() for source in self._sources.values()}
        names = {
            part: "DATA" if part == "train" else f"{part.upper()}_DATA" for part in self._sources
        }
        if len(endings) > 1 or not endings <= {*_DELIMITED, *_FRAMES}:
            raise not_written("such data", self._sources["train"])
        if endings <= {*_FRAMES}:
            self.pieces = (data, frames)
            reader, labels = "pl.read_parquet", self._frame_labels()
            columns = list(pl.read_parquet_schema(self._sources["train"]))
        else:
            self.pieces = (data, text)
            forms = [CsvForm.of(Path(source)) for source in self._sources.values()]
            if len({(form.separator, form.has_header) for form in forms}) > 1:
                raise not_written("files of text of different forms", "")
            self.constants["SEPARATOR"] = (forms[0].separator, "")
            marks = {
                mark
                for source in self._sources.values()
                for mark in _marks_in(source, forms[0].separator)
            }
            self.constants["MISSING"] = (marks or {""}, "what stands for a missing value")
            reader = "read_csv" if forms[0].has_header else "read_csv_without_header"
            labels, columns = self._text_labels(), list(forms[0].names)
        target = target_column(columns, self._sources["train"], self._recipe.target, True)
        self.constants["TARGET"] = (target, "")
        self.constants["TARGETS"] = (list(self._classes.names), "")
        if len(names) == 1:
            return [f"    table = {reader}(DATA)"], labels
        joined = "joined_frames" if self.pieces == (data, frames) else "joined_tables"
        pairs = [f'        "{part}": {reader}({name}),' for part, name in names.items()]
        return [
            "    parts = {",
            *pairs,
            "    }",
            f"    table, rows = {joined}(parts)",
        ], labels

    def _text_labels(self) -> str:
        if self._classes.multilabel:
            return "np.column_stack([truth_or_one(table[name]) for name in TARGETS])"
        values = self._classes.values
        if all(isinstance(value, bool) for value in values):
            return "np.char.lower(table[TARGET])"
        if all(isinstance(value, (int, float)) for value in values):
            return "table[TARGET].astype(np.float64)"
        return "table[TARGET]"

    def _frame_labels(self) -> str:
        if self._classes.multilabel:
            return "np.column_stack([table[name].to_numpy() for name in TARGETS])"
        if all(isinstance(value, str) for value in self._classes.values):
            return "np.array(table[TARGET].cast(pl.String).to_list())"
        return "table[TARGET].to_numpy()"

    # Both.

    def _indices(self, labels: str) -> Iterator[str]:
        if self._classes.multilabel:
            yield f"    y = {labels}.astype(np.int64)"
            return
        values, columns = self._classes.values, self._dataset.train.label_columns
        if columns and labels != "labels":
            raise not_written("labels of several columns", self._sources["train"])
        plain = all(type(v) is int and v == i for i, v in enumerate(values))
        if columns:
            one = "labels[:, 0].astype(np.int64)" if columns == 1 else "labels.argmax(axis=1)"
            yield f"    y = {one}"
        elif plain and labels == "labels":
            yield "    y = labels.astype(np.int64)"
        else:
            yield f"    _, y = np.unique({labels}, return_inverse=True)"

    def _rows(self) -> Iterator[str]:
        if self._shares:
            yield f"    rows = split({self._stratified('y')})"
        else:
            yield '    rows = {"train": np.arange(len(y))}'

    def _more_rows(self) -> Iterator[str]:
        """Where some parts are there already."""
        if self._shares:
            first = self._stratified('y[rows["train"]]')
            yield f"    rows |= split({first})  # which are the first"

    def _stratified(self, y: str) -> str:
        """What rows are split by: their class, or which classes they have."""
        return f"combinations({y})" if self._classes.multilabel else y


def _encoder_code(encoder: TableEncoder, kinds: dict[str, str], table: str, *, scaled: bool) -> str:
    """The function `encode`, with the kinds of columns that there are."""
    number = "number_features" if scaled else "unscaled_features"
    word = "frequent_word_features" if any(c.other for c in encoder.columns) else "word_features"
    by_kind = {
        "number": f"{number}(numbers(table[name]), train)",
        "comma": f"{number}(numbers_with_comma(table[name]), train)",
        "date": f"{number}(seconds(table[name]), train)",
        "boolean": "truth_features(truth(table[name]), train)",
        "words": f"{word}(words(table[name]), train)",
    }
    there = [kind for kind in by_kind if kind in kinds.values()]
    lines = [
        f"def encode(table: {table}, train: np.ndarray) -> np.ndarray:",
        '    """All rows as features, (N, F), fitted on the training rows."""',
        "    features: list[np.ndarray] = []",
    ]
    if len(there) == 1:
        lines += ["    for name in COLUMNS:", f"        features += {by_kind[there[0]]}"]
    else:
        lines.append("    for name, kind in COLUMNS.items():")
        for i, kind in enumerate(there):
            word = "if" if i == 0 else "elif"
            test = f'{word} kind == "{kind}":' if i < len(there) - 1 else "else:"
            lines += [f"        {test}", f"            features += {by_kind[kind]}"]
    return "\n".join([*lines, "    return np.column_stack(features)"])


def _marks_in(source: str, separator: str) -> set[str]:
    """What stands for a missing value somewhere in a file of text."""
    known = set(MISSING)
    with open(source, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter=separator)
        return {field.strip() for line in lines for field in line} & known
