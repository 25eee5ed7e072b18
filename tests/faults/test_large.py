"""Facts about nets of real size are found whatever time there is; here the same nets, narrow.

`python tests/faults/score.py --large` judges them at their full size.
"""

import pytest

from faults.large.programs import judged, large_programs

PROGRAMS = large_programs(small=True)


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_a_fact_is_named_first_without_any_time_for_experiments(program):
    verdict = judged(program, 0, 0.0, 1.0)
    if program.plant.fault is None:
        assert verdict.actionable == []
    else:
        assert verdict.right, verdict.actionable
