"""How a script brings numbers to one scale: a function that is fitted on the training rows."""

from typing import Any, NamedTuple

import numpy as np

from steepest.data import Preprocessing

_HEAD = "def scaled(x: np.ndarray, train: np.ndarray) -> np.ndarray:"
_ROBUST = '''
    """Median 0 and distance of the quartiles 1 over the training rows, clipped to (-3, 3)."""
    low, middle, high = np.quantile(x[train], (0.25, 0.5, 0.75), axis=0)
    half_range = (x[train].max(axis=0) - x[train].min(axis=0)) / 2
    spread = np.where(high > low, high - low, half_range)
    z = (x - middle) / np.where(spread > 0, spread, np.inf)  # a constant column becomes 0
    return z / np.hypot(1, z / 3)  # nearly z where it is small'''
_STANDARDISED = '''
    """Mean 0 and deviation 1 over the training rows{note}."""
    own = x[train].astype(np.float64)
    varies = own.min({axis}) < own.max({axis})
    deviation = np.where(varies, own.std({also}ddof=1), np.inf)
    return {affine}'''
_MINMAX = '''
    """From RANGE[0] to RANGE[1] over the training rows{note}."""
    own = x[train].astype(np.float64)
    low, high = own.min({axis}), own.max({axis})
    factor = (RANGE[1] - RANGE[0]) / np.where(low < high, high - low, np.inf)
    return {affine} + RANGE[0]'''
_BY_COLUMN = {"quantile": "normal_quantile", "piecewise": "piecewise_linear"}


class Scaling(NamedTuple):
    """What a script has of a scaling.

    Attributes:
        code: The function `scaled`, "" for none.
        rows: X, the rows of an array, as a tensor that a net takes.
    """

    code: str
    rows: str


def scaling_of(preprocessing: Preprocessing, given: Any, dtype: str) -> Scaling:
    """The scaling that a preprocessing has fitted.

    Args:
        preprocessing: Of the run.
        given: The type of the array of rows; None for a table.
        dtype: That of the net, "float32" or "float64".
    """
    encoder, numeric = preprocessing.encoder, preprocessing.numeric
    kind = (preprocessing.scaler if encoder is None else encoder.scaler).kind
    if numeric is not None and numeric.kind in _BY_COLUMN:
        code = f"{_HEAD}\n    return {_BY_COLUMN[numeric.kind]}(x, x[train])"
        columns = '[scaled(column, rows["train"]) for column in X.T]'
        return Scaling(code, f"torch.tensor(np.column_stack({columns}), dtype=torch.{dtype})")
    # Such arrays stay as they are until a minibatch is taken, and are scaled in the net's type.
    late = numeric is None and given in (np.uint8, np.float32)
    plain = f"torch.from_numpy(X).to(torch.{dtype})"
    if kind == "none":
        return Scaling("", plain)
    if kind == "pixels":
        return Scaling(
            "", f"{plain} * (1 / 255)" if late else f"(torch.from_numpy(X) / 255).to(torch.{dtype})"
        )
    rows = f'torch.tensor(scaled(X, rows["train"]), dtype=torch.{dtype})'
    if kind == "robust":
        return Scaling(_HEAD + _ROBUST, rows)
    by_column = given is None or len(preprocessing.shape) == 1
    return Scaling(_HEAD + _affine(kind, by_column, late and dtype == "float32"), rows)


def _affine(kind: str, by_column: bool, single: bool) -> str:
    """The body of `scaled`. single: whether it computes in float32, with fitted float64."""
    if kind == "standardise":
        affine, template = "(x - own.mean({axis})) / deviation", _STANDARDISED
        if single:
            affine = "(x - np.float32(own.mean({axis}))) * np.float32(1 / deviation)"
    else:
        affine, template = "(x - low) * factor", _MINMAX
        if single:
            affine = "(x - np.float32(low)) * np.float32(factor)"
    axis = "axis=0" if by_column else ""
    note = "; a constant column becomes 0" * (by_column and kind == "standardise")
    body = template.replace("{affine}", affine)
    also = f"{axis}, " if axis else ""
    return body.format(axis=axis, also=also, note=note)
