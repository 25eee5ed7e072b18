"""What fit and predict are given, looked at as scikit-learn looks, with its messages."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data import Samples
from steepest.errors import needs
from steepest.estimator.rows import Rows, as_samples, as_table, numbers_as_table

with needs("estimator", "steepest.SteepestClassifier"):
    from sklearn.base import BaseEstimator
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data


class ChecksInputs(BaseEstimator):  # type: ignore[misc]
    """An estimator that checks its rows, labels and weights.

    Attributes:
        module: Whether rows may be anything that a module takes, or are columns of a table.
        classes_: (C,) the labels, sorted.
    """

    if TYPE_CHECKING:
        module: Any
        classes_: NDArray[Any]
    # What the columns were called that fit saw.
    _columns: list[str] = []  # noqa: RUF012  (replaced, never changed)

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Rows, NDArray[Any], NDArray[np.float64] | None]:
        """Rows, labels and weights as they are used, without rows that weigh nothing."""
        if y is None:
            raise ValueError(
                "This SteepestClassifier estimator requires y to be passed, but the target y is "
                "None"
            )
        rows, labels = self._rows(X, y, reset=reset)
        assert labels is not None
        if sample_weight is None:
            return rows, labels, None
        weights = _check_sample_weight(
            sample_weight, labels, dtype=np.float64, ensure_non_negative=True
        )
        counted = np.flatnonzero(weights)
        if not len(counted):
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return rows[counted], labels[counted], weights[counted]

    def _rows(self, X: Any, y: Any = None, *, reset: bool) -> tuple[Rows, NDArray[Any] | None]:
        """X, and y if it is given, after scikit-learn's checks.

        A table's columns go by their place, as scikit-learn has it: fit may have seen a frame and
        predict an array of as many columns. Where both have names these were compared.
        """
        rows, labels = self._validated(X, y, reset=reset)
        if isinstance(rows, pl.DataFrame):
            if reset:
                self._columns = rows.columns
            rows = rows.rename(dict(zip(rows.columns, self._columns, strict=True)))
        return rows, labels

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Rows, NDArray[Any] | None]:
        if isinstance(X, np.ma.MaskedArray):  # whose mask scikit-learn's check leaves out
            X = np.ma.filled(X.astype(np.float64), np.nan)
        table = as_table(X) if self.module is None else None
        if table is not None:
            validate_data(self, X, reset=reset, skip_check_array=True)
            if y is None:
                return table, None
            labels = _labels(y)
            if len(labels) != len(table):
                raise ValueError(
                    "Found input variables with inconsistent numbers of samples: "
                    f"[{len(table)}, {len(labels)}]"
                )
            return table, labels
        finite = "allow-nan" if self.module is None else True
        checks = {
            "reset": reset,
            "dtype": "numeric",
            "ensure_all_finite": finite,
            "allow_nd": self.module is not None,
        }
        if y is None:
            array = validate_data(self, X, **checks)
        else:
            array, y = validate_data(self, X, y, **checks)
        rows = numbers_as_table(array) if self.module is None else array
        return rows, None if y is None else _labels(y)

    def _validation(self, X: Any, y: Any, sample_weight: Any) -> Samples | None:
        if X is None:
            if y is not None or sample_weight is not None:
                raise ValueError("y_val and sample_weight_val belong to X_val, which is missing")
            return None
        if y is None:
            raise ValueError("X_val was given without y_val")
        rows, labels, weights = self._checked(X, y, sample_weight, reset=False)
        return as_samples(rows, self._encoded(labels), weights)

    def _require_same_classes(self, classes: NDArray[Any]) -> None:
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )

    def _encoded(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        unseen = np.setdiff1d(labels, self.classes_)
        if len(unseen):
            raise ValueError(f"y contains labels that are no classes here: {unseen[:5]}")
        return np.searchsorted(self.classes_, labels).astype(np.int64)


def _labels(y: Any) -> NDArray[Any]:
    if isinstance(y, pl.Series):
        y = y.to_numpy()
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    return labels  # type: ignore[no-any-return]


def require_classes(classes: NDArray[Any]) -> None:
    """Raise ValueError if there are fewer than two."""
    if len(classes) < 2:
        raise ValueError(
            f"SteepestClassifier needs samples of at least 2 classes, but y has 1 class: {classes}"
        )
