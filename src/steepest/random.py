"""Randomness as a function: (seed, purpose, step, index) -> number.

Everything random in a run comes from the counter-based generator Philox 4x32-10 (Salmon, Moraes,
Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). There is no state to save:
the position in the run *is* the state, so a resumed run continues exactly, and the number of
threads or the engine changes nothing.

A counter of four 32-bit words is laid out as (block low, block high, step, stream << 8 | purpose),
where block number b holds the numbers 4b .. 4b+3; the key is the 64-bit seed.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from steepest.extension import extension

UInt32Array = NDArray[np.uint32]
UInt64Array = NDArray[np.uint64]
Int64Array = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


class Purpose(IntEnum):
    """What a number is for. Numbers of different purposes are independent."""

    SHUFFLE = 1
    SPLIT = 2
    INITIALISATION = 3
    MODULE = 4  # modules that draw from torch's own generator
    DROPOUT = 5
    STOCHASTIC_DEPTH = 6
    MIX = 7  # what mixup and cutmix draw once a step
    CUTOUT = 8
    SHIFT = 9
    CROP = 10
    FLIP = 11
    SAMPLE = 12  # rows drawn by weight
    BLOCKS = 13  # the order of blocks of rows
    FOLDS = 14  # which rows each net of an ensemble is measured on
    MEMBER = 15  # the seeds of the nets of an ensemble
    IMPORTANCE = 16  # orders in which a column is shuffled
    CHANNEL_DROPOUT = 17
    SEARCH = 20  # the settings that a random search tries
    RESAMPLE = 21  # the resamples of a bootstrap


def philox4x32(counter: UInt32Array, key: tuple[int, int], rounds: int = 10) -> UInt32Array:
    """Four random 32-bit words for each counter.

    Args:
        counter: (..., 4) uint32.
        key: Two 32-bit words.
        rounds: 10, as published; fewer are quicker and less random.

    Returns:
        (..., 4) uint32.

    Source:
        Salmon, Moraes, Dror and Shaw, SC 2011; Random123 has known answers.
    """
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(rounds):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0 = (p1 >> _32) ^ c1 ^ np.uint64(k0)
        c2 = (p0 >> _32) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def words(
    seed: int, purpose: Purpose, step: int, count: int, *, first: int = 0, stream: int = 0
) -> UInt32Array:
    """The 32-bit words with the indices first .. first+count-1, (count,) uint32.

    Args:
        seed: 0 <= seed < 2**64.
        purpose: What the words are for.
        step: An epoch or a step, < 2**32.
        count: How many words.
        first: The index of the first of them.
        stream: Tells users of one purpose apart (a layer's number, say), < 2**24.
    """
    offset, use = first % 4, stream << 8 | purpose
    native = extension()
    if native is not None:  # the same words as NumPy's
        numbers = np.empty(offset + count, dtype=np.uint32)
        native.random_words(seed, step, use, first // 4, numbers)
        return numbers[offset:]
    blocks = np.arange(first // 4, -(-(first + count) // 4), dtype=np.uint64)
    counter = np.empty((len(blocks), 4), dtype=np.uint32)
    counter[:, 0] = blocks & _LOW
    counter[:, 1] = blocks >> _32
    counter[:, 2] = step
    counter[:, 3] = use
    numbers = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32)).reshape(-1)
    return numbers[offset : offset + count]


def uniform_of_steps(seed: int, purpose: Purpose, steps: range, count: int) -> Float64Array:
    """`uniform` for each of some steps, (S, count) float64."""
    blocks = -(-count // 2)
    counter = np.zeros((len(steps), blocks, 4), dtype=np.uint32)
    counter[..., 0] = np.arange(blocks)
    counter[..., 2] = np.asarray(steps, dtype=np.uint32)[:, None]
    counter[..., 3] = int(purpose)
    numbers = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32)).astype(np.uint64)
    pairs = numbers.reshape(len(steps), 2 * blocks, 2)
    upper = (pairs[..., 0] | pairs[..., 1] << _32) >> np.uint64(11)
    return (upper.astype(np.float64) * 2.0**-53)[:, :count]


def below(numbers: UInt32Array, n: int) -> Int64Array:
    """Whole numbers in [0, n) from random words: the upper half of word times n."""
    return (numbers.astype(np.uint64) * np.uint64(n) >> _32).astype(np.int64)


def keys(seed: int, purpose: Purpose, step: int, count: int, *, stream: int = 0) -> UInt64Array:
    """One 64-bit word for each index below count, (count,) uint64: word 2i is its low half."""
    pairs = words(seed, purpose, step, 2 * count, stream=stream).astype(np.uint64)
    return pairs[0::2] | pairs[1::2] << _32


def uniform(seed: int, purpose: Purpose, step: int, count: int, *, stream: int = 0) -> Float64Array:
    """Numbers in [0, 1), (count,) float64: the upper 53 bits of `keys`."""
    upper = keys(seed, purpose, step, count, stream=stream) >> np.uint64(11)
    return upper.astype(np.float64) * 2.0**-53


def permutation(
    size: int, seed: int, purpose: Purpose, step: int, *, stream: int = 0
) -> Int64Array:
    """The numbers 0 .. size-1 in random order, (size,) int64: the stable sort of their keys."""
    return np.argsort(keys(seed, purpose, step, size, stream=stream), kind="stable")


def block_permutation(size: int, block: int, together: int, seed: int, step: int) -> Int64Array:
    """The numbers 0 .. size-1, shuffled so that those near each other in it are near in fact.

    Blocks of `block` successive numbers are put into random order; of each `together` blocks in
    that order the numbers are mixed, by the keys that SHUFFLE gives them.

    Args:
        size: How many numbers.
        block: How many successive numbers make a block; the last may be shorter.
        together: How many blocks are mixed at a time.
        seed: 0 <= seed < 2**64.
        step: The epoch.

    Returns:
        (size,) int64.
    """
    blocks = permutation(-(-size // block), seed, Purpose.BLOCKS, step)
    order = np.empty(size, dtype=np.int64)
    done = 0
    for first in range(0, len(blocks), together):
        starts = blocks[first : first + together] * block
        numbers = [np.arange(start, min(start + block, size)) for start in starts.tolist()]
        mixing = [_keys_of(run, seed, step) for run in numbers]
        mixed = np.concatenate(numbers)[np.argsort(np.concatenate(mixing), kind="stable")]
        order[done : done + len(mixed)] = mixed
        done += len(mixed)
    return order


def _keys_of(run: Int64Array, seed: int, step: int) -> UInt64Array:
    """The keys of successive numbers, as `keys` gives them."""
    pairs = words(seed, Purpose.SHUFFLE, step, 2 * len(run), first=2 * int(run[0]))
    wide = pairs.astype(np.uint64)
    return wide[0::2] | wide[1::2] << _32


def torch_seed(seed: int, purpose: Purpose, step: int, *, stream: int = 0) -> int:
    """A seed for a torch.Generator, below 2**63."""
    low, high = words(seed, purpose, step, 2, stream=stream).tolist()
    return int(low | high << 32) >> 1


def drawn(
    weights: Float64Array, seed: int, purpose: Purpose, step: int, *, stream: int = 0
) -> Int64Array:
    """As many indices as there are weights, each drawn by its weight with replacement, (N,) int64.

    An index is the first whose cumulative weight lies above u times the total, u of `uniform`.
    """
    cumulative = np.cumsum(weights)
    places = uniform(seed, purpose, step, len(weights), stream=stream) * cumulative[-1]
    found: Int64Array = np.searchsorted(cumulative, places, side="right")
    return np.minimum(found, len(weights) - 1)
