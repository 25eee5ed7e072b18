"""Decimal commas and thousands separators: what a column of text that is no plain number holds."""

import polars as pl

from steepest.data.text import read_numbers

_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
# 1,234 is 1.234 to some and 1234 to others.
_EITHER = r"[+-]?[1-9]\d{0,2},\d{3}"
_THOUSANDS = (
    r"[+-]?\d{1,3}(?:,\d{3}){2,}|[+-]?\d{1,3}(?:,\d{3})+\.\d+|[+-]?\d{1,3}(?:\.\d{3})+,\d+"
    r"|[+-]?\d{1,3}(?:[ \x{a0}\x{202f}'’]\d{3})+[.,]\d+"
)
# Groups alone may be a telephone number: they are numbers where others stand beside them.
_GROUPS = r"[+-]?\d{1,3}(?:[ \x{a0}\x{202f}'’]\d{3})+|[+-]?\d{1,3}(?:\.\d{3}){2,}"

_DATE = r"(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}[./-]\d{1,2}[./-]\d{1,2})(?:[ T].*)?"
_UNIT = r"\s*(?:[%‰€$£¥]|EUR|USD|GBP|CHF|JPY|CZK|PLN)\s*"
_MOST_MARKS = 2

_MOST_PLAIN_BEFORE_GROUPS = 1000
_ENOUGH_TO_TELL = 100


def are_numbers(text: pl.Series) -> pl.Series:
    """Which values are numbers, with a decimal comma or thousands separators too; (N,) Boolean."""
    return _match(text, _PLAIN, _COMMA, _THOUSANDS) | read_numbers(text).is_not_null()


def notation(text: pl.Series) -> str:
    """How the numbers in a column of text are written that does not hold plain numbers alone.

    "comma": with decimal commas. "either": commas that may part thousands as well. "mixed": some
    with decimal commas, some with points. "thousands": with separators of thousands. "": words.
    """
    words = text.drop_nulls()
    kinds = (_PLAIN, _COMMA, _THOUSANDS, _GROUPS)
    if not (_match(words.head(_ENOUGH_TO_TELL), *kinds).all() and _match(words, *kinds).all()):
        return ""
    groups = _match(words, _GROUPS).any()
    if _match(words, _THOUSANDS).any() or (groups and not _match(words, _GROUPS).all()):
        return "thousands"
    comma = _match(words, _COMMA)
    if not comma.any():
        return ""
    plain = words.filter(~comma)
    if plain.str.contains(".", literal=True).any():
        return "mixed"
    large = (read_numbers(plain).abs() >= _MOST_PLAIN_BEFORE_GROUPS).any()
    return "either" if _match(words.filter(comma), _EITHER).all() and not large else "comma"


def likeness(words: pl.Series) -> str:
    """What distinct words look like that are no names, and what to do about it; "" if names.

    Numbers with a unit or beside a word or two, and numbers and dates as text.
    """
    numbers = are_numbers(words)
    if numbers.all():
        return f"numbers as text, such as {words[0]!r}; make the column one of numbers"
    others = words.filter(~numbers)
    if 1 <= len(others) <= _MOST_MARKS and len(others) < len(words):
        return f"numbers, beside {others[0]!r}; leave it empty if it says that a value is missing"
    if _match(others, _DATE).all() and len(others) == len(words):
        return (
            f"dates as text, such as {words[0]!r}; make the column one of dates, or write them as "
            "2021-12-31"
        )
    bare = others.str.replace(f"^{_UNIT}", "").str.replace(f"{_UNIT}$", "")
    if are_numbers(bare).all():
        return f"numbers with a unit, such as {others[0]!r}; write them without"
    return ""


def remedy(notation: str, text: pl.Series) -> tuple[str, str]:
    """A value that makes the notation of a column unclear, and what to do about it, in words."""
    words = text.drop_nulls()
    if notation == "thousands":
        value = words.filter(_match(words, _THOUSANDS, _GROUPS))[0]
        return value, "with a separator of thousands; write it without"
    value = words.filter(_match(words, _COMMA))[0]
    if notation == "mixed":
        point = words.filter(words.str.contains(".", literal=True))[0]
        return value, f"with a decimal comma, and {point!r} with a decimal point; write one of them"
    return value, (
        "which is one number with a decimal comma and another with a separator of thousands; write "
        f"{value.replace(',', '.')} or {value.replace(',', '')}"
    )


def _match(text: pl.Series, *kinds: str) -> pl.Series:
    return text.str.contains(f"^(?:{'|'.join(kinds)})$")
