"""Classes: the labels of a data set, what they are called, and the class indices they map to."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from steepest.data.labels import Label, is_code, read_label
from steepest.data.samples import Samples
from steepest.errors import ModelError, TargetError, did_you_mean

_SHOWN = 10


@dataclass(frozen=True)
class Classes:
    """C classes: class index i stands for the label values[i] and is shown as names[i].

    multilabel: whether a row may have several of them or none; labels are then rows of 0 and 1.
    notes: what was decided, in plain sentences.
    """

    values: tuple[Label, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    multilabel: bool = False

    @classmethod
    def multilabel_of(cls, samples: Samples) -> Self:
        """The classes of training samples whose rows may have several of them or none.

        Raises TargetError for missing labels, and for a class that all rows have or none has.
        """
        if samples.labels is None:
            raise TargetError(f"{samples.source} has no labels, and training needs them")
        rows = samples.labels
        if rows.ndim == 1:
            if _indices(tuple(np.unique(rows).tolist())) is None:
                raise TargetError(
                    f"{samples.source}: task multilabel needs labels of shape (N, K), rows of 0 "
                    f"and 1, but they are of shape {rows.shape}; name several columns as target, "
                    "a,b,c",
                    settings=("target",),
                )
            if samples.label_columns == 1:
                rows = _one_column(rows, samples.source)
            else:
                width = samples.label_columns or int(rows.max()) + 1
                rows = np.eye(width, dtype=np.uint8)[rows]
        count, counts = rows.shape[1], rows.sum(axis=0)
        given = samples.class_names
        names = given if given and len(given) == count else tuple(map(str, range(count)))
        constant = (counts == 0) | (counts == len(rows))
        if constant.any():
            name = names[int(constant.argmax())]
            which = "none" if counts[constant.argmax()] == 0 else "all"
            raise TargetError(
                f"{which} of the {len(rows)} training rows of {samples.source} have the class "
                f"{name!r}, so there is nothing to learn about it; leave it out"
            )
        return cls(tuple(range(count)), names, multilabel=True)

    @classmethod
    def of(cls, samples: Samples, *, outputs: int | None = None) -> Self:
        """The classes of training samples. outputs: the width of the model, if there is one yet.

        They are the distinct labels in sorted order; of one-hot labels for no model yet, all their
        columns. But integers below `outputs` of a wider model are class indices already and stay
        what they are. Raises TargetError for missing labels, a single class, or more classes than
        outputs; ModelError for a model that is too wide.
        """
        if samples.labels is None:
            raise TargetError(f"{samples.source} has no labels, and training needs them")
        values = tuple(np.unique(samples.labels).tolist())
        if len(values) < 2:
            raise TargetError(
                f"all {len(samples)} training rows of {samples.source} are of one class, "
                f"{values[0]!r}; a classifier needs at least two"
            )
        notes: tuple[str, ...] = ()
        if outputs is None and (samples.label_columns or 0) > 1:
            outputs = samples.label_columns
        if outputs is not None and outputs != _width(outputs, values):
            values, notes = _as_indices(values, outputs)
        return cls(values, _names(values, samples.class_names), notes)

    def __len__(self) -> int:
        return len(self.values)

    def encode(
        self, labels: NDArray[Any], source: str, columns: int | None = None
    ) -> NDArray[np.int64]:
        """The class index of each label, (N,) int64. columns: as in `Samples.label_columns`.

        "1" and 1 are one label where only one of them is known. Raises TargetError naming a label
        that training never saw, or that may be one of several, and its row.
        """
        if self.multilabel:
            return self._encode_rows(labels, source, columns)
        distinct, inverse = np.unique(labels, return_inverse=True)
        places = _places(self.values)
        found = [places(label) for label in distinct.tolist()]
        wrong = np.array([len(indices) != 1 for indices in found], dtype=bool)[inverse]
        if wrong.any():
            row = int(wrong.argmax())
            self._refuse(labels.tolist()[row], found[inverse[row]], f"{source}: row {row}")
        return np.array([indices[0] for indices in found], dtype=np.int64)[inverse]

    def _refuse(self, label: Label, indices: list[int], where: str) -> NoReturn:
        """indices: the classes that the label may be, none or several."""
        if indices:
            candidates = " or ".join(repr(self.values[i]) for i in indices)
            raise TargetError(
                f"{where} has the label {label!r}, which may be the class {candidates}; pass the "
                "labels as strings, as training had them"
            )
        hint = did_you_mean(label, self.names) if isinstance(label, str) else ""
        raise TargetError(
            f"{where} has the label {label!r}, which no training row has{hint or ';'} the classes "
            f"are {shorten(self.names)}"
        )

    def decode(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The label of each class index, (N,), of the type in which the labels were given.

        Where rows may have several classes, indices are rows of 0 and 1 already, (N, K).
        """
        if self.multilabel:
            return indices
        return np.array(self.values)[indices]

    def to_json(self) -> dict[str, Any]:
        return {
            "values": list(self.values),
            "names": list(self.names),
            "multilabel": self.multilabel,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        values, names = tuple(state["values"]), tuple(map(str, state["names"]))
        if len(values) != len(names) or not all(isinstance(v, Label) for v in values):
            raise ValueError("the saved classes are not labels with names")
        return cls(
            values, names, multilabel=bool(state.get("multilabel", state.get("several", False)))
        )

    def _encode_rows(
        self, labels: NDArray[Any], source: str, columns: int | None
    ) -> NDArray[np.int64]:
        """Rows of 0 and 1, (N, K) int64; class indices stand for rows with that one class."""
        count = len(self)
        if labels.ndim == 1 and columns == count == 1:
            labels = _one_column(labels, source)
        elif (
            labels.ndim == 1
            and columns in (None, count)
            and labels.dtype.kind in "iu"
            and 0 <= labels.min() <= labels.max() < count
        ):
            labels = np.eye(count, dtype=np.int64)[labels]
        if labels.ndim != 2 or labels.shape[1] != count:
            shape = labels.shape if columns is None else (len(labels), columns)
            raise TargetError(
                f"{source}: the labels must be rows of {count} numbers, 0 or 1 for each of "
                f"{shorten(self.names)}, but have the shape {shape}"
            )
        return labels.astype(np.int64)


def _one_column(labels: NDArray[Any], source: str) -> NDArray[np.uint8]:
    """The rows of one class that each row has or has not, (N, 1)."""
    if not np.isin(labels, (0, 1)).all():
        raise TargetError(f"{source}: labels of one column must be 0 or 1 for task multilabel")
    return labels.astype(np.uint8)[:, None]


def shorten(names: tuple[str, ...]) -> str:
    """The names with commas between them, the first ten of many."""
    return ", ".join(names[:_SHOWN]) + (f", ... ({len(names)})" if len(names) > _SHOWN else "")


def _places(values: tuple[Label, ...]) -> Callable[[Label], list[int]]:
    """Which classes a label can be: the one that it is, else those that it reads as."""
    exact: dict[Label, int] = {value: i for i, value in enumerate(values)}
    spelled = {str(value): i for i, value in enumerate(values)}
    read: dict[object, list[int]] = defaultdict(list)
    for i, value in enumerate(values):
        if isinstance(value, str):
            read[value.strip()].append(i)
            # A truth value is no number here, though Python takes True for 1.
            number = read_label(value)
            read[type(number) is bool, number].append(i)

    def places(label: Label) -> list[int]:
        if label in exact:
            return [exact[label]]
        if not isinstance(label, str):
            return read.get((type(label) is bool, label), [])
        if label in spelled:
            return [spelled[label]]
        number = None if is_code(label) else read_label(label)
        return [exact[number]] if number in exact else read.get(label.strip(), [])

    return places


def _width(outputs: int, values: tuple[Label, ...]) -> int:
    """How many outputs these labels ask for: two classes may have one."""
    return 1 if outputs == 1 and len(values) == 2 else len(values)


def _indices(values: tuple[Label, ...]) -> list[int] | None:
    """The labels, if they can be class indices: integers from 0."""
    indices = [v for v in values if isinstance(v, int) and not isinstance(v, bool) and v >= 0]
    return indices if len(indices) == len(values) else None


def _as_indices(
    values: tuple[Label, ...], outputs: int
) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    """Labels that are class indices of a model with more outputs than they have values."""
    indices = _indices(values)
    if len(values) > outputs:
        raise TargetError(
            f"the labels have {len(values)} classes but the model gives {outputs} "
            f"output{'s' * (outputs != 1)}: make its last layer {len(values)} wide"
        )
    if indices is None:
        raise ModelError(
            f"the labels have {len(values)} classes but the model gives {outputs} outputs: make "
            f"its last layer {len(values)} wide"
        )
    if max(indices) >= outputs:
        raise TargetError(
            f"the label {max(indices)} is no class index of a model with {outputs} outputs, whose "
            f"classes are 0 .. {outputs - 1}: number the classes from 0, or make the model wider"
        )
    absent = tuple(str(i) for i in range(outputs) if i not in indices)
    return tuple(range(outputs)), (f"no training rows of the classes {shorten(absent)}",)


def _names(values: tuple[Label, ...], given: tuple[str, ...] | None) -> tuple[str, ...]:
    """What the source calls its class indices, or the labels themselves."""
    indices = _indices(values)
    if given is not None and indices is not None and max(indices) < len(given):
        return tuple(given[index] for index in indices)
    return tuple(str(value) for value in values)
