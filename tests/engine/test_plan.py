"""Which rows a step takes, by the plan and by the engine that takes them."""

import numpy as np
import pytest
from torch import nn

from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan
from steepest.objective import Objective


def plan_of(rows, **settings):
    array = np.ones((rows, 2), dtype=np.float32)
    samples = Samples(array, None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    model = nn.Sequential(nn.Linear(2, 2))
    targets = np.arange(rows) % 2
    return Plan(model, Objective("multiclass"), inputs, targets, Recipe(**settings))


@pytest.mark.parametrize("sampling", ["shuffle", "blocks"])
@pytest.mark.parametrize(("rows", "batch_size"), [(10, 4), (8, 4), (3, 8), (5, 1)])
def test_the_minibatches_of_an_epoch_are_its_order_and_a_step_is_one_of_them(
    rows, batch_size, sampling
):
    plan = plan_of(rows, batch_size=batch_size, sampling=sampling)
    for epoch in (0, 2):
        batches = list(plan.minibatches(epoch))
        assert len(batches) == plan.steps_per_epoch
        assert np.array_equal(np.concatenate(batches), plan.order(epoch))
        assert sorted(np.concatenate(batches)) == list(range(rows))
        for i, batch in enumerate(batches):
            step = epoch * plan.steps_per_epoch + i
            assert np.array_equal(plan.minibatch(step), batch)
