"""Data of a real kind, each a function of the seed: images and text, two with many classes.

- Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), the IDX files of Debian's package
  dataset-fashion-mnist, where that is installed; `fashion` raises FileNotFoundError elsewhere.
- Pairs of scikit-learn's handwritten digits side by side: 100 classes.
- The language reference that Python carries as `pydoc_data.topics` (its text differs a little
  from one minor version of Python to the next): windows of characters, of which the next one is
  the class (some 95 classes), and windows of words, of which the section is the class.
"""

import gzip
import re
from collections import Counter
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.data import Rows, digits8, generator, split

FASHION = Path("/usr/share/datasets/fashion-mnist")
SECTIONS = ("specialnames", "compound", "formatstrings", "string-methods", "debugger", "typesseq")
PADDING, UNKNOWN = 0, 1


@cache
def _idx(name: str, header: int) -> Tensor:
    with gzip.open(FASHION / name) as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


def fashion(seed: int, train: int = 1500, val: int = 500, size: int = 14) -> Rows:
    """Fashion-MNIST's test images, (rows, 1, size, size), from 0 to 1; size is 28, 14 or 7."""
    images = _idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = _idx("t10k-labels-idx1-ubyte.gz", 8).long()
    chosen = torch.randperm(len(labels), generator=generator(seed))[: train + val]
    return split(F.avg_pool2d(images[chosen] / 255, 28 // size), labels[chosen], train)


def digit_rows(seed: int) -> Rows:
    """The digits as sequences of 8 rows of 8 pixels: (rows, 8, 8)."""
    rows = digits8(seed)
    rows.X, rows.X_val = rows.X.reshape(-1, 8, 8), rows.X_val.reshape(-1, 8, 8)
    return rows


def digit_pairs(seed: int, train: int = 4000, val: int = 800) -> Rows:
    """Two digits side by side, (rows, 1, 8, 16): a number of 0 to 99, which is the class.

    The digits of a validation pair are in no training pair.
    """
    digits, g = digits8(seed), generator(seed)

    def pairs(X: Tensor, y: Tensor, n: int) -> tuple[Tensor, Tensor]:
        left, right = torch.randint(len(y), (2, n), generator=g)
        images = torch.cat([X[left].reshape(-1, 8, 8), X[right].reshape(-1, 8, 8)], 2)
        return images[:, None], 10 * y[left] + y[right]

    return Rows(*pairs(digits.X, digits.y, train), *pairs(digits.X_val, digits.y_val, val))


@cache
def reference() -> str:
    """Python's language reference, its sections in the order of their names."""
    from pydoc_data.topics import topics

    return "".join(topics[name] for name in sorted(topics))


@cache
def encoded() -> tuple[Tensor, int]:
    """`reference` as numbers of characters, and how many characters there are."""
    text = reference()
    number = {c: i for i, c in enumerate(sorted(set(text)))}
    return torch.tensor([number[c] for c in text]), len(number)


def characters() -> int:
    """How many different characters `reference` has."""
    return encoded()[1]


def windows(seed: int, train: int = 4000, val: int = 1000, length: int = 12) -> Rows:
    """Windows of characters, (rows, length), and the character that comes next.

    The first four fifths of the text are for training, the others for validation.
    """
    text, _ = encoded()
    border, g = len(text) * 4 // 5, generator(seed)

    def cut(start: int, end: int, n: int) -> tuple[Tensor, Tensor]:
        at = torch.randint(start, end - length - 1, (n,), generator=g)
        return text[at[:, None] + torch.arange(length)], text[at + length]

    return Rows(*cut(0, border, train), *cut(border, len(text), val))


def sentences(seed: int, train: int = 1200, val: int = 300, length: int = 24) -> Rows:
    """Windows of characters and, for each place, the character after it: both (rows, length)."""
    rows = windows(seed, train, val, length + 1)

    def shifted(X: Tensor) -> tuple[Tensor, Tensor]:
        return X[:, :-1].contiguous(), X[:, 1:].contiguous()

    return Rows(*shifted(rows.X), *shifted(rows.X_val))


@cache
def _words() -> tuple[list[Tensor], int]:
    """The words of each section as numbers from 1 on; the rare ones are `UNKNOWN`."""
    from pydoc_data.topics import topics

    texts = [re.findall(r"[a-z_]+", topics[name].lower()) for name in SECTIONS]
    common = Counter(word for text in texts for word in text).most_common(398)
    number = {word: i + 2 for i, (word, _) in enumerate(common)}
    return [torch.tensor([number.get(w, UNKNOWN) for w in text]) for text in texts], len(number) + 2


def words() -> int:
    """How many numbers of words there are, `PADDING` and `UNKNOWN` among them."""
    return _words()[1]


def passages(
    seed: int, train: int = 1500, val: int = 500, length: int = 24, shortest: int = 8
) -> Rows:
    """Passages of 8 to 24 words, padded at their ends, (rows, 24), and which section they are from.

    Each section is cut into blocks of 100 words; every fourth block is for validation.
    """
    texts, _ = _words()
    blocks = [[t for t in text.split(100) if len(t) >= length] for text in texts]
    g = generator(seed)

    def draw(n: int, wanted: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        y = torch.randint(len(blocks), (n,), generator=g)
        X = torch.full((n, length), PADDING)
        lengths = torch.randint(shortest, length + 1, (n,), generator=g)
        for row, (k, m) in enumerate(zip(y.tolist(), lengths.tolist(), strict=True)):
            own = [block for i, block in enumerate(blocks[k]) if i % 4 in wanted]
            block = own[int(torch.randint(len(own), (), generator=g))]
            at = int(torch.randint(len(block) - m + 1, (), generator=g))
            X[row, :m] = block[at : at + m]
        return X, y

    return Rows(*draw(train, (0, 1, 2)), *draw(val, (3,)))
