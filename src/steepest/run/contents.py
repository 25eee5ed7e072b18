"""What a record may hold. It is looked at where it is read: nothing behind that need ask again."""

from typing import Any

import polars as pl

from steepest.errors import RunError

# A run without a validation part has none of these; every other column holds a value in each row.
_OPTIONAL = {"val_loss", "val_acc"}
# What is known of a run as a whole, written together at its beginning and together at its end.
_BEGIN = {"engine": str, "reason": str, "rows": int, "initial_loss": float, "chance_loss": float}
_END = {"status": str, "seconds": float, "scores": dict}
_SCORE = {"rows": int, "loss": float, "accuracy": float}
_STATUSES = ("finished", "interrupted", "diverged")
_MOST = 2**53  # of anything that is counted

AT_START = tuple(_BEGIN)


def require_values(frame: pl.DataFrame, what: str) -> None:
    """Raise RunError for a gap where there is always a value, or for counts that none can be."""
    for column in frame:
        if column.name not in _OPTIONAL and column.null_count():
            row = column.is_null().to_list().index(True)
            raise RunError(f"{what} has no {column.name} in row {row}")
        if column.dtype == pl.Int64:
            possible = column.is_between(0, _MOST).to_list()
            if not all(possible):
                row = possible.index(False)
                raise RunError(f"{what} has {column.name} = {column[row]} in row {row}")


def require_info(facts: dict[str, Any], where: str) -> None:
    """Raise RunError if a fact is not of the kind that a run writes, or one of them is missing."""
    expected = {**_BEGIN, **_END} if facts.keys() & _END.keys() else _BEGIN
    for key, kind in expected.items() if facts else ():
        if key not in facts:
            raise RunError(f"{where} is damaged: it does not tell {key}")
        if not _is(facts[key], kind):
            raise RunError(f"{where} is damaged: {key} is {_shown(facts[key])}")
    if facts.get("status", _STATUSES[0]) not in _STATUSES:
        raise RunError(f"{where} is damaged: status is {_shown(facts['status'])}")
    for part, score in facts.get("scores", {}).items():
        whole = isinstance(score, dict) and score.keys() == _SCORE.keys()
        if not whole or not all(_is(score[key], kind) for key, kind in _SCORE.items()):
            raise RunError(f"{where} is damaged: the score of {_shown(part)} is {_shown(score)}")


def _is(value: Any, kind: type) -> bool:
    """Whether JSON's value is of a kind; a whole number is a float, too, and no count is huge."""
    if kind is int:
        return type(value) is int and 0 <= value <= _MOST
    if kind is float:
        return type(value) is float or (type(value) is int and abs(value) <= _MOST)
    return type(value) is kind


def _shown(value: Any) -> str:
    """The beginning of a value in a message."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
