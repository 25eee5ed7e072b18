"""Weight decay, dropout and label smoothing follow their schedules, in the loop a user would write."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine, schedule_factor
from steepest.engine.masks import Masks
from steepest.errors import RecipeError
from steepest.objective import Objective
from steepest.training.schedule import make_schedule

SHARES = (0.0, 0.1, 0.25, 0.5, 0.6, 0.75, 1.0)


def test_the_factors_are_those_of_their_formulas():
    for t in SHARES:
        flat = 1 if t < 0.5 else (1 + math.cos(math.pi * (2 * t - 1))) / 2
        waves = (1 - math.cos(2 * math.pi * math.log(1 + 15 * t, 2))) / 2
        assert schedule_factor("constant", t) == 1
        assert schedule_factor("cosine", t) == pytest.approx((1 + math.cos(math.pi * t)) / 2)
        assert schedule_factor("flat_cos", t) == pytest.approx(flat)
        assert schedule_factor("coslog4", t) == pytest.approx(waves)
    assert [schedule_factor("coslog4", (2**k - 1) / 15) for k in range(5)] == pytest.approx([0] * 5)
    assert schedule_factor("flat_cos", 7.0) == 0


def test_learning_rates_follow_them_too():
    recipe = Recipe(schedule="coslog4", lr=2.0, min_lr=0.5)
    rates = [make_schedule(recipe, 2.0, 10, 100).rate(step) for step in range(100)]
    expected = [0.5 + 1.5 * schedule_factor("coslog4", step / 100) for step in range(100)]
    assert rates == pytest.approx(expected)
    flat = make_schedule(Recipe(schedule="flat_cos", lr=1.0, warmup=20), 1.0, 10, 100)
    assert flat.rate(0) == pytest.approx(1 / 20)
    assert flat.rate(60) == 1.0
    assert flat.rate(80) == pytest.approx(schedule_factor("flat_cos", 60 / 80))


def plan_of(recipe, dropout=0.4):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Dropout(dropout), nn.Linear(12, 4))
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(0, 1, (70, 6)).astype(np.float32), None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    targets = rng.integers(0, 4, 70)
    return Plan(model.double(), Objective("multiclass"), inputs, targets, recipe)


@pytest.mark.parametrize("planned", [None, 3])
def test_a_run_is_the_loop_with_its_numbers_changed_by_hand(planned):
    recipe = Recipe(
        optimizer="adamw",
        epochs=8,
        batch_size=16,
        weight_decay=0.3,
        label_smoothing=0.2,
        weight_decay_schedule="flat_cos",
        dropout_schedule="cosine",
        label_smoothing_schedule="coslog4",
    )
    ours = replace(plan_of(recipe), planned_epochs=planned)
    engine = TorchEngine()
    engine.load(ours)
    losses = [engine.advance([0.01]).loss for _ in range(40)]
    plan = plan_of(recipe)
    model, total = plan.model, 5 * (planned or 8)
    optimizer = torch.optim.AdamW(model.parameters())
    masks = Masks(model, recipe.seed)
    x, y = torch.from_numpy(plan.inputs.block(0, 70)).double(), torch.from_numpy(plan.targets)
    model.train()
    for step in range(40):
        t, batch = min(1.0, step / total), torch.from_numpy(plan.minibatch(step))
        decay, smoothing = schedule_factor("flat_cos", t), schedule_factor("coslog4", t)
        model[2].p = 0.4 * schedule_factor("cosine", t)
        optimizer.param_groups[0].update(lr=0.01, weight_decay=0.3 * decay)
        with masks.installed():
            masks.begin(step)
            outputs = model(x[batch])
        loss = nn.functional.cross_entropy(outputs, y[batch], label_smoothing=0.2 * smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert losses[step] == pytest.approx(loss.item(), rel=1e-9)
    for name, value in ours.model.state_dict().items():
        assert torch.allclose(value, model.state_dict()[name], rtol=1e-9, atol=1e-12)


def test_dropout_that_has_gone_leaves_all_there():
    recipe = Recipe(epochs=2, batch_size=16, dropout_schedule="flat_cos")
    with_dropout, without = plan_of(recipe), plan_of(recipe, dropout=0.0)
    for plan in (with_dropout, without):
        engine = TorchEngine()
        engine.load(plan, None, 10)  # at the end of the run the shares are 0
        engine.advance([0.1] * 3)
    for p, q in zip(with_dropout.model.parameters(), without.model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_schedule_of_nothing_is_refused():
    with pytest.raises(RecipeError) as error:
        Recipe(label_smoothing_schedule="flat_cos")
    assert str(error.value) == "label_smoothing_schedule has no effect without label_smoothing"


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_diverging_run_is_explained_with_the_same_numbers(engine):
    """The replay takes the steps again with the factors of their own numbers."""
    X = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    run = sp.train(
        None,
        (X, (X[:, 0] > 0).astype(int)),
        hidden=(8,),
        lr=1e30,
        epochs=4,
        weight_decay=0.1,
        weight_decay_schedule="coslog4",
        dropout=0.5,
        dropout_schedule="cosine",
        engine=engine,
        progress="none",
        check=False,
    )
    assert run.status == "diverged"
    reason = run.record.table("events")["text"].to_list()[-1]
    assert "first" in reason or "left the range" in reason
