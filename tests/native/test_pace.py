"""The number of threads that a training finds, by made-up times of a step."""

import math
import random
from collections.abc import Callable

import pytest

from steepest.extension import extension

Cost = Callable[[int, float], float]
# Of a spell's begin: a thread more or less.
START = 20e-6


def taken(cost: Cost, steps: float, threads: int, fixed: bool) -> tuple[float, list[int]]:
    """Seconds of so many seconds' worth of steps, and the number of threads of each spell.

    cost: Seconds of a step on so many threads at that time.
    """
    pace = extension().Pace(threads, fixed)
    clock, done, used = 0.0, 0, []
    while done < steps:
        spell = min(pace.steps, steps - done)
        before = clock
        clock += START * (pace.threads - 1)
        for _ in range(math.ceil(min(spell, 1000))):  # fixed spells are long; in pieces
            clock += cost(pace.threads, clock)
            done += 1
        used.append(pace.threads)
        pace.took(math.ceil(min(spell, 1000)), clock - before)
    return clock, used


def best_fixed(cost: Cost, steps: int, most: int) -> float:
    return min(sum_of(cost, steps, threads) for threads in range(1, most + 1))


def sum_of(cost: Cost, steps: int, threads: int) -> float:
    clock = 0.0
    for _ in range(steps):
        clock += cost(threads, clock)
    return clock


def shared(step: float, serial: float = 0.1) -> Cost:
    """Amdahl's law on a quiet machine."""
    return lambda threads, _: step * (serial + (1 - serial) / threads)


def crowded(step: float, processors: int, others: int, seed: int) -> Cost:
    """Threads share processors with others: after 3 ms one waits for 6, and all wait for it."""
    rng = random.Random(seed)

    def cost(threads: int, _: float) -> float:
        one = step * (0.1 + 0.9 / threads)
        free = max(0, processors - others)
        stalls = sum(rng.random() < one / 0.003 for _ in range(max(0, threads - free)))
        return one + 0.006 * stalls

    return cost


@pytest.mark.parametrize("step", [200e-6, 1e-3, 0.02])
@pytest.mark.parametrize("most", [2, 8])
def test_a_quiet_machine_keeps_all_threads(step: float, most: int) -> None:
    steps = int(2 * most / step)
    found, _ = taken(shared(step), steps, most, fixed=False)
    assert found < 1.03 * best_fixed(shared(step), steps, most)


@pytest.mark.parametrize("most", [2, 8])
def test_threads_that_do_not_pay_are_given_back(most: int) -> None:
    def cost(threads: int, _: float) -> float:
        return 1e-3 * threads

    found, used = taken(cost, 4000, most, fixed=False)
    assert found < 1.1 * best_fixed(cost, 4000, most)
    assert used[-1] == 1


@pytest.mark.parametrize("others", [1, 2, 3])
@pytest.mark.parametrize("most", [2, 8])
def test_beside_busy_processes_it_is_near_the_best_fixed_number(most: int, others: int) -> None:
    step, steps = (9e-5, 40_000) if most == 2 else (9e-4, 20_000)

    def cost() -> Cost:
        return crowded(step, most, others, seed=others)

    best = min(sum_of(cost(), steps, threads) for threads in range(1, most + 1))
    found, _ = taken(cost(), steps, most, fixed=False)
    assert found < 1.1 * best


def test_a_thread_comes_back_when_the_machine_is_quiet_again() -> None:
    quiet, full = shared(9e-5), crowded(9e-5, 2, 1, seed=0)

    def cost(threads: int, clock: float) -> float:
        return (full if 1 < clock < 3 else quiet)(threads, clock)

    _, used = taken(cost, 70_000, 2, fixed=False)
    assert used[:2] == [2, 2]
    assert used[-1] == 2
    middle = used[len(used) // 3 : len(used) // 2]
    assert sum(middle) < 1.2 * len(middle)


def test_a_number_that_was_asked_for_is_kept() -> None:
    assert extension().Pace(2, True).threads == 2
    assert extension().Pace(2, True).steps > 1e15
    assert extension().Pace(1, False).steps > 1e15
    _, used = taken(lambda threads, _: 1e-4 * threads, 10_000, 2, fixed=True)
    assert set(used) == {2}
