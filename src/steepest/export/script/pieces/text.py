"""How the columns of a file of text are read, as steepest.data.sources.csv does it."""

import csv
import math
from collections.abc import Iterable
from datetime import datetime

import numpy as np

from steepest.export.script.pieces.constants import MISSING, SEPARATOR


def read_csv(path: str) -> dict[str, np.ndarray]:
    """The columns of a file of text."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter=SEPARATOR)
        header, *rows = [[field.strip() for field in line] for line in lines if line]
    return dict(zip(header, np.array(rows).T, strict=True))


def read_csv_without_header(path: str) -> dict[str, np.ndarray]:
    """The columns of a file of text that does not name them."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter=SEPARATOR)
        columns = np.array([[field.strip() for field in line] for line in lines if line]).T
    return {f"column_{i}": column for i, column in enumerate(columns, start=1)}


def numbers(texts: Iterable[str]) -> np.ndarray:
    """Numbers, NaN where one is missing."""
    return np.array([math.nan if text in MISSING else float(text) for text in texts])


def numbers_with_comma(texts: Iterable[str]) -> np.ndarray:
    """Numbers with a decimal comma, NaN where one is missing."""
    return numbers([text if text in MISSING else text.replace(",", ".") for text in texts])


def seconds(texts: Iterable[str]) -> np.ndarray:
    """Dates as seconds since 1970, NaN where one is missing."""
    begin = datetime(1970, 1, 1)
    return np.array(
        [
            math.nan if t in MISSING else (datetime.fromisoformat(t) - begin).total_seconds()
            for t in texts
        ]
    )


def truth(texts: Iterable[str]) -> np.ndarray:
    """1 for true, 0 for false, NaN where it is missing."""
    return np.array([math.nan if t in MISSING else float(t.lower() == "true") for t in texts])


def words(texts: Iterable[str]) -> np.ndarray:
    """Words, None where one is missing."""
    return np.array([None if text in MISSING else text for text in texts], dtype=object)


def truth_or_one(texts: np.ndarray) -> np.ndarray:
    """Whether a row has a class: true, or 1."""
    return np.isin(np.char.lower(texts), ("1", "true"))
