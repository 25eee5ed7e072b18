"""Random numbers as a function of the seed, as steepest.random has them."""

import numpy as np
import torch

from steepest.export.script.pieces.constants import INITIALISATION, SEED


def random_words(count: int, purpose: int, step: int, stream: int = 0) -> np.ndarray:
    """Random 32-bit words, (count,): a function of SEED and these numbers, by Philox 4x32-10.

    Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    blocks: np.ndarray = np.arange(-(-count // 4), dtype=np.uint64)
    c0, c1 = blocks & 0xFFFFFFFF, blocks >> 32
    c2, c3 = np.full_like(blocks, step), np.full_like(blocks, stream << 8 | purpose)
    k0, k1 = SEED & 0xFFFFFFFF, SEED >> 32
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c2 = p1 >> 32 ^ c1 ^ k0, p0 >> 32 ^ c3 ^ k1
        c1, c3 = p1 & 0xFFFFFFFF, p0 & 0xFFFFFFFF
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:count]


def random_keys(count: int, purpose: int, step: int, stream: int = 0) -> np.ndarray:
    """Random 64-bit words, (count,)."""
    words = random_words(2 * count, purpose, step, stream)
    return words[0::2] | words[1::2] << 32


def permutation(size: int, purpose: int, step: int) -> np.ndarray:
    """The numbers 0 .. size-1 in random order."""
    return np.argsort(random_keys(size, purpose, step), kind="stable")


def generator_of(step: int, stream: int) -> torch.Generator:
    """The generator of the first weights of one layer."""
    return torch.Generator().manual_seed(int(random_keys(1, INITIALISATION, step, stream)[0] >> 1))
