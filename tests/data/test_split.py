"""split(): sizes that are right, whatever the classes are called and however rare they are."""

from itertools import chain

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from steepest.data import load_data, split

CLASS_SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def dataset(labels):
    return load_data((np.arange(len(labels), dtype=np.float32)[:, None], labels))


def rows_of(data):
    return {name: part.inputs[part.rows, 0].astype(int).tolist() for name, part in data.parts()}


@given(CLASS_SIZES, st.floats(0.05, 0.45), st.floats(0.05, 0.45))
@example([1] * 200 + [800], 0.4, 0.4)
def test_each_part_has_its_share_of_all_rows_and_no_class_loses_its_last(sizes, first, second):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    data = split(dataset(labels), validation=first, test=second)
    rows = rows_of(data)
    assert sorted(chain(*rows.values())) == list(range(len(labels)))
    assert all(part == sorted(part) for part in rows.values())
    assert set(labels[rows["train"]]) == set(labels)
    free = len(labels) - len(sizes)
    in_test = min(round(second * len(labels)), free)
    assert len(rows.get("test", [])) == in_test
    assert len(rows.get("validation", [])) == min(round(first * len(labels)), free - in_test)


@given(CLASS_SIZES, st.integers(0, 2**63 - 1))
def test_the_split_does_not_depend_on_what_the_classes_are_called(sizes, seed):
    numbers = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    words = np.array([f"class {-number}" for number in range(len(sizes))])[numbers]
    as_numbers, as_words = (
        rows_of(split(dataset(labels), validation=0.2, test=0.1, seed=seed))
        for labels in (numbers, words)
    )
    assert as_numbers == as_words


def test_thousands_of_classes_are_split_at_once():
    labels = np.random.default_rng(0).integers(0, 20_000, 200_000)
    data = split(dataset(labels), validation=0.1)
    assert len(data.validation) == 20_000
