"""What an engine says of some steps does not depend on the calls that they were divided among."""

import itertools

import numpy as np
import pytest

from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import NO_STEPS, NativeEngine, Plan, TorchEngine
from steepest.nn import mlp
from steepest.objective import Objective

ROWS, STEPS = 60, 300


@pytest.mark.parametrize("engine", [NativeEngine, TorchEngine])
def test_sums_have_the_same_bits_however_steps_are_divided(engine):
    rng = np.random.default_rng(0)
    inputs = 20 * rng.normal(size=(ROWS, 6)).astype(np.float32)  # losses from 1e-9 to 100
    labels = (inputs @ rng.normal(size=(6, 4))).argmax(axis=1)
    samples = Samples(inputs, labels, "drawn")
    prepared = Preprocessing.fit(samples, "none").prepare(samples)
    recipe = Recipe(batch_size=1, threads=1)

    def summed(lengths):
        plan = Plan(
            mlp(6, (8,), 4, activation="relu", seed=0),
            Objective("multiclass"),
            prepared,
            labels,
            recipe,
        )
        moved, sums = engine(), NO_STEPS
        moved.load(plan)
        while sums.steps < STEPS:
            sums = sums + moved.advance([0.003] * min(next(lengths), STEPS - sums.steps))
        return sums

    whole = summed(iter([STEPS]))
    assert 0 < whole.loss_sum < np.inf
    assert summed(itertools.repeat(1)) == whole
    assert summed(iter(rng.integers(1, 30, STEPS).tolist())) == whole
