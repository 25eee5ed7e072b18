"""How data are split and prepared, as steepest.data does it."""

import gzip
from collections import Counter

import numpy as np
import torch

from steepest.export.script.pieces.constants import BINS, SHARES, SPLIT, scaled
from steepest.export.script.pieces.randomness import permutation


def split(labels: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of each part: of each class its share, drawn at random; the rest is trained on."""
    _, first, classes = np.unique(labels, return_index=True, return_inverse=True)
    classes = np.argsort(np.argsort(first))[classes]  # in the order in which they appear
    sizes = np.bincount(classes)
    order = permutation(len(labels), SPLIT, 0)
    by_class = order[np.argsort(classes[order], kind="stable")]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within its class
    taken, rows = np.zeros_like(sizes), {}
    for part, share in SHARES.items():
        counts = rounded(share, sizes, sizes - 1 - taken)
        own = (rank >= np.repeat(taken, sizes)) & (rank < np.repeat(taken + counts, sizes))
        rows[part] = np.sort(by_class[own])
        taken = taken + counts
    return {"train": np.sort(by_class[rank >= np.repeat(taken, sizes)]), **rows}


def combinations(labels: np.ndarray) -> np.ndarray:
    """Which classes each row has, as one number. labels: (N, C) of 0 and 1."""
    return np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)


def rounded(share: float, sizes: np.ndarray, free: np.ndarray) -> np.ndarray:
    """What is share * sizes, at most what is free, in whole numbers by largest remainders."""
    exact = share * sizes
    counts = np.minimum(np.floor(exact).astype(np.int64), free)
    total = min(round(share * int(sizes.sum())), int(free.sum()))
    by_remainder = np.argsort(np.floor(exact) - exact, kind="stable")
    while (lacking := total - int(counts.sum())) > 0:
        able = by_remainder[counts[by_remainder] < free[by_remainder]]
        some = able[:lacking]
        counts[some] += np.minimum(max(1, lacking // len(able)), free[some] - counts[some])
    return counts


def number_features(x: np.ndarray, train: np.ndarray) -> list[np.ndarray]:
    """A scaled column; where it is missing too, if it is so in a training row."""
    gaps = np.isnan(x)
    x = np.where(gaps, x[train][~gaps[train]].mean(), x)
    return [scaled(x, train), *([gaps] if gaps[train].any() else [])]


def truth_features(x: np.ndarray, train: np.ndarray) -> list[np.ndarray]:
    """A column of 0 and 1; where it is missing too, if it is so in a training row."""
    gaps = np.isnan(x)
    return [np.where(gaps, 0.0, x), *([gaps] if gaps[train].any() else [])]


def unscaled_features(x: np.ndarray, train: np.ndarray) -> list[np.ndarray]:
    """A column of numbers; where it is missing too, if it is so in a training row."""
    gaps = np.isnan(x)
    x = np.where(gaps, x[train][~gaps[train]].mean(), x)
    return [x, *([gaps] if gaps[train].any() else [])]


def word_features(x: np.ndarray, train: np.ndarray) -> list[np.ndarray]:
    """A feature for each word of the training rows; where it is missing too, if it is so there."""
    counts = Counter(word for word in x[train] if word is not None)
    levels = sorted(counts, key=lambda word: (-counts[word], word))
    gaps = np.array([word is None for word in x])
    features = [x == level for level in levels]
    return [*features, *([gaps] if gaps[train].any() else [])]


def frequent_word_features(x: np.ndarray, train: np.ndarray) -> list[np.ndarray]:
    """As `word_features`, of the 64 most frequent words; the others share one feature."""
    counts = Counter(word for word in x[train] if word is not None)
    levels = sorted(counts, key=lambda word: (-counts[word], word))[:64]
    gaps = np.array([word is None for word in x])
    features = [x == level for level in levels]
    if len(counts) > len(levels):
        features.append(~np.isin(x.astype(str), levels) & ~gaps)
    return [*features, *([gaps] if gaps[train].any() else [])]


def joined(
    parts: dict[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """All rows and labels, one part below the other, and the rows of each part."""
    X = np.concatenate([X for X, _ in parts.values()])
    labels = np.concatenate([labels for _, labels in parts.values()])
    ends = np.cumsum([len(labels) for _, labels in parts.values()])
    rows = np.split(np.arange(len(X)), ends[:-1])
    return X, labels, dict(zip(parts, rows, strict=True))


def joined_tables(
    parts: dict[str, dict[str, np.ndarray]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The columns of all parts, one part below the other, and the rows of each part."""
    first, *_ = tables = list(parts.values())
    table = {name: np.concatenate([other[name] for other in tables]) for name in first}
    ends = np.cumsum([len(next(iter(other.values()))) for other in tables])
    rows = np.split(np.arange(ends[-1]), ends[:-1])
    return table, dict(zip(parts, rows, strict=True))


def read_idx(path: str) -> np.ndarray:
    """The bytes of an IDX file in its shape; its header says how many dimensions there are."""
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        content = file.read()
    sizes = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(sizes)


def quantiles(x: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The quantiles at these shares; the very values of rows where shares meet rows."""
    places = shares * (len(x) - 1)
    whole = np.round(places)
    places = np.where(np.abs(places - whole) < 1e-9 * len(x), whole, places)
    return np.maximum.accumulate(np.interp(places, np.arange(len(x)), np.sort(x)))


def normal_quantile(x: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The normal quantile of the share of the training values `own` that lie below x."""
    shares = np.linspace(0, 1, min(1000, len(own)))
    knots = quantiles(own, shares)
    if knots[0] == knots[-1]:
        return np.zeros_like(x)
    from_below = np.interp(x, knots, shares)
    from_above = np.interp(-x, -knots[::-1], -shares[::-1])  # another one where values are equal
    share = (from_below - from_above) / 2
    share = np.where(x - 1e-7 < knots[0], 0, np.where(x + 1e-7 > knots[-1], 1, share))
    share = np.clip(share, 1e-7 - np.spacing(1), 1 - (1e-7 - np.spacing(1)))
    return torch.special.ndtri(torch.from_numpy(share)).numpy()


def piecewise_linear(x: np.ndarray, own: np.ndarray) -> np.ndarray:
    """How far x fills each bin between the quantiles of the training values `own`, (N, bins)."""
    edges = np.unique(quantiles(own, np.linspace(0, 1, BINS + 1)))
    if len(edges) == 1:
        return np.zeros((len(x), 1))
    filled = filled_bins(x, edges)
    mean, deviation = filled_bins(own, edges).mean(axis=0), filled_bins(own, edges).std(axis=0)
    return (filled - mean) * 0.5 / np.where(deviation > 1e-9, deviation, np.inf)


def filled_bins(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """From 0 to 1 in each bin; the first and the last go on beyond their edges."""
    filled = (x[:, None] - edges[:-1]) / np.diff(edges)
    filled[:, 1:] = np.maximum(filled[:, 1:], 0)
    filled[:, :-1] = np.minimum(filled[:, :-1], 1)
    return filled
