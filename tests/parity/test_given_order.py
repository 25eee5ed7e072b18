"""Rows in an order that a plan is given, in place of what its recipe's sampling says."""

import numpy as np
import pytest
import torch

from steepest.data import Inputs, Scaler
from steepest.engine import NativeEngine, Plan, TorchEngine, in_turn
from steepest.objective import Objective
from steepest.recipe import Recipe


def plan_of(sampling, order=None):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 5)).astype(np.float32), np.arange(24) % 3
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    inputs = Inputs(X, None, Scaler())
    recipe = Recipe(batch_size=8, sampling=sampling, class_weight="balanced")
    return Plan(model, Objective("multiclass"), inputs, y, recipe, given_order=order)


@pytest.mark.parametrize("sampling", ["shuffle", "weighted", "blocks"])
def test_both_engines_take_the_rows_as_given(sampling):
    by_hand = plan_of(sampling)
    optimizer = torch.optim.SGD(by_hand.model.parameters(), lr=0.5)
    for epoch in range(2):
        for rows in torch.arange(24).split(8):
            turned = (rows + epoch) % 24
            optimizer.zero_grad()
            z = by_hand.model(torch.from_numpy(by_hand.inputs.array)[turned])
            by_hand.loss(z, torch.from_numpy(by_hand.targets)[turned]).backward()
            optimizer.step()
    for engine in (TorchEngine(), NativeEngine()):
        given = plan_of(sampling, lambda epoch: (np.arange(24) + epoch) % 24)
        assert given.row_weights is None
        engine.load(given)
        engine.advance([0.5] * 6)
        engine.export()
        for p, q in zip(given.model.parameters(), by_hand.model.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


def test_in_turn_is_the_order_in_which_they_lie():
    assert plan_of("weighted", in_turn(24)).order(3).tolist() == list(range(24))
