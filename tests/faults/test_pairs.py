"""Two and three faults in one training: both are named, and what blocks the other comes first.

`python tests/faults/score.py --pairs` judges all 66 pairs.
"""

from itertools import combinations

import pytest
import torch

from faults.pairs.edits import COMMON, Planted, planted
from faults.pairs.order import blocks, first_of
from faults.pairs.scoring import Together, figures, seen, table

# One for each way in which a fault hid another: experiments on what was not mended yet, numbers
# that break at once, tests that need a training that learns, an order of ranks.
SUITE = ["softmax+scale", "rate+sorted", "scale+sign", "params+init", "labels+mode"]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_of_any_three_faults_one_is_blocked_by_none():
    assert not any(blocks(a, b) and blocks(b, a) for a, b in combinations(COMMON, 2))
    assert all(first_of(set(names)) for names in combinations(COMMON, 3))
    assert len(planted(2)) == 66


@pytest.mark.parametrize("name", [*SUITE, "softmax+scale+rate"])
def test_all_are_named_and_the_first_is_blocked_by_none(name):
    verdict = seen(Planted(tuple(name.split("+"))), 0)
    assert verdict.all_named, verdict
    assert verdict.right, verdict
    assert not verdict.noise
    assert not verdict.crash


def test_nothing_is_said_of_the_plain_loop():
    assert seen(Planted(()), 0).codes == []


def test_the_table_says_what_holds_of_a_pair():
    one = Together("rate+scale", 0, ["LR_TOO_HIGH"], named={"rate": True, "scale": False})
    one.appears = True
    assert table([one]).count("..A") == 2
    assert figures([one])["all named"].startswith("0 of 1")
