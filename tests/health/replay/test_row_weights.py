"""What-ifs of a plan whose rows have weights take the steps that its training takes."""

import copy

import numpy as np
import pytest
import torch

import steepest as sp
from steepest.engine import NativeEngine, TorchEngine
from steepest.health.check.forming import _joined
from steepest.health.replay.batches import Batch, WeightedRows
from steepest.health.replay.planned import Planned
from steepest.health.replay.replay import Setup, on_logits, replay
from steepest.training.preparation import prepare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
WEIGHTS = RNG.uniform(0, 5, size=64)


def planned(engine, **settings):
    """A plan of four minibatches of 16 rows, and these with and without the rows' weights."""
    data = sp.Samples(X, Y, "test", weights=WEIGHTS)
    recipe = sp.Recipe(engine=engine, hidden=(8,), batch_size=16, validation=0.0, **settings)
    plan = prepare(None, data, recipe).plan
    rows = [torch.from_numpy(i) for i in plan.minibatches(0)]
    x, y = torch.from_numpy(plan.inputs.block(0, 64)), torch.from_numpy(plan.targets)
    w = torch.from_numpy(plan.sample_weights)
    batches = [Batch((x[i],), y[i], weights=w[i]) for i in rows]
    return plan, batches


@pytest.mark.parametrize("engine", [NativeEngine, TorchEngine])
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw"}, {"label_smoothing": 0.1}])
def test_a_replay_has_the_losses_of_the_training(engine, settings):
    plan, batches = planned(engine.name, scaling="none", **settings)
    setup = Setup(plan.model, plan.loss, (Planned(plan, 0.1, lambda step: 0.1),))
    found = replay(setup, batches, 8)
    assert found is not None
    clone = copy.deepcopy(plan.model)
    own = copy.copy(plan)
    object.__setattr__(own, "model", clone)
    trained = engine()
    trained.load(own)
    losses = [trained.advance([0.1]).loss for _ in range(4)]
    # The second epoch of the training has another order of rows.
    assert found.losses[:4] == pytest.approx(losses, rel=1e-5)
    assert setup.loss(batches[0]).item() == pytest.approx(losses[0], rel=1e-5)


def test_a_what_if_with_another_loss_or_optimizer_knows_them_too():
    plan, batches = planned("native", scaling="none")
    setup = Setup(plan.model, plan.loss, (Planned(plan, 0.1, lambda step: 0.1),))
    same = replay(setup, batches, 4, change=on_logits(lambda z: z))
    usual, neutral = replay(setup, batches, 4), replay(setup.neutral(1e-3), batches, 4)
    assert same.losses == pytest.approx(usual.losses, rel=1e-4)
    assert neutral.first == pytest.approx(usual.first, rel=1e-5)
    without = [Batch(b.args, b.target) for b in batches]
    assert replay(setup, without, 4).first != pytest.approx(usual.first, rel=1e-3)


def test_batches_keep_their_weights_when_they_change():
    _, (batch, *_) = planned("torch")
    assert batch.take(slice(2, 5)).weights.tolist() == batch.weights[2:5].tolist()
    assert batch.with_x(batch.x + 1).weights is batch.weights
    rows = [WeightedRows(*(torch.full((3,), float(k)) for k in range(3)))] * 2
    assert isinstance(_joined(rows), WeightedRows)
    assert _joined(rows).weights.tolist() == [2.0] * 6
