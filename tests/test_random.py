"""Randomness is a function of (seed, purpose, step, index), and the function is Philox 4x32-10."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest.random import (
    Purpose,
    block_permutation,
    keys,
    permutation,
    philox4x32,
    torch_seed,
    uniform,
    words,
)

# Known answers published with Random123 (kat_vectors, philox4x32 with 10 rounds).
PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
SEEDS = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(("counter", "key", "answer"), PUBLISHED)
def test_philox_gives_the_published_answers(counter, key, answer):
    assert tuple(philox4x32(np.array(counter, dtype=np.uint32), key)) == answer


def test_numpys_philox_of_the_same_family_agrees_on_many_counters_at_once():
    # One vectorised call equals one call a counter.
    counters = np.arange(4000, dtype=np.uint32).reshape(-1, 4)
    one_by_one = np.stack([philox4x32(counter, (1, 2)) for counter in counters])
    assert np.array_equal(philox4x32(counters, (1, 2)), one_by_one)


@given(SEEDS, st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(0, 50))
def test_a_number_depends_on_its_index_alone(seed, step, first, count):
    whole = words(seed, Purpose.SHUFFLE, step, first + count)
    assert np.array_equal(words(seed, Purpose.SHUFFLE, step, count, first=first), whole[first:])


def test_seed_purpose_step_and_stream_each_change_the_numbers():
    base = words(1, Purpose.SHUFFLE, 0, 8)
    others = [
        words(2, Purpose.SHUFFLE, 0, 8),
        words(1 + 2**32, Purpose.SHUFFLE, 0, 8),
        words(1, Purpose.SPLIT, 0, 8),
        words(1, Purpose.SHUFFLE, 1, 8),
        words(1, Purpose.SHUFFLE, 0, 8, stream=1),
    ]
    assert all(not np.array_equal(base, other) for other in others)


@given(SEEDS, st.integers(0, 500))
def test_a_permutation_holds_each_number_once(seed, size):
    order = permutation(size, seed, Purpose.SHUFFLE, 3)
    assert np.array_equal(np.sort(order), np.arange(size))


def test_every_place_of_a_permutation_is_equally_likely():
    places = np.stack([permutation(5, seed, Purpose.SHUFFLE, 0) for seed in range(5000)])
    counts = np.stack([(places == number).sum(axis=0) for number in range(5)])
    # Each of 25 counts is binomial(5000, 1/5): mean 1000, standard deviation 28.
    assert np.abs(counts - 1000).max() < 5 * 28


def test_uniform_numbers_fill_the_unit_interval():
    numbers = uniform(7, Purpose.SPLIT, 0, 100_000)
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 5 * (1 / 12 / 100_000) ** 0.5


def test_a_key_is_two_words_the_low_one_first():
    low, high = (int(word) for word in words(9, Purpose.SPLIT, 4, 4)[2:])
    assert int(keys(9, Purpose.SPLIT, 4, 2)[1]) == low + (high << 32)


@given(SEEDS, st.integers(0, 2**32 - 1))
def test_torch_takes_the_seeds_that_are_made_for_it(seed, step):
    import torch

    torch.Generator().manual_seed(torch_seed(seed, Purpose.MODULE, step))


@pytest.mark.parametrize(("size", "block", "together"), [(1000, 64, 4), (7, 3, 2), (5, 100, 1)])
def test_a_shuffle_by_blocks_takes_each_row_once_and_stays_near(size, block, together):
    order = block_permutation(size, block, together, 3, 1)
    assert sorted(order.tolist()) == list(range(size))
    assert not np.array_equal(order, block_permutation(size, block, together, 3, 2))
    for first in range(0, size - block * together, block * together):
        # The short last block moves the mixed runs: a stretch of so many rows touches two of them.
        assert len(np.unique(order[first : first + block * together] // block)) <= 2 * together
