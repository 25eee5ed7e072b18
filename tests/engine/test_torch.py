"""The torch engine against a plain PyTorch loop and against itself, step by step."""

import copy
import functools
import operator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from steepest import Recipe, mlp
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine, forward
from steepest.objective import Objective


def make_plan(model, *, rows=50, features=6, classes=3, scaling="none", **recipe):
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(3, 2, (rows, features)).astype(np.float32), None, "test")
    targets = rng.integers(0, classes, rows)
    inputs = Preprocessing.fit(samples, scaling).prepare(samples)
    kind = "binary" if classes == 2 else "multiclass"
    return Plan(model, Objective(kind), inputs, targets, Recipe(**recipe))


def plain_loop(plan, steps, rates=None):
    """What a PyTorch user would write, with our order of the rows."""
    model, recipe = plan.model, plan.recipe
    x = torch.from_numpy(plan.inputs.block(0, plan.rows))
    y = torch.from_numpy(plan.targets)
    loss_fn = nn.CrossEntropyLoss() if plan.objective.kind == "multiclass" else None
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    model.train()
    losses, step = [], 0
    while step < steps:
        order = torch.from_numpy(plan.order(step // plan.steps_per_epoch))
        for batch in order.split(plan.batch_size):
            if step == steps:
                break
            optimizer.param_groups[0]["lr"] = recipe.lr if rates is None else rates[step]
            z = model(x[batch])
            if loss_fn is not None:
                loss = loss_fn(z, y[batch])
            else:
                loss = nn.functional.binary_cross_entropy_with_logits(
                    z.reshape(-1), y[batch].to(z.dtype)
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append((loss.item(), len(batch)))
            step += 1
    return losses


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@settings(max_examples=25, deadline=None)
@given(
    batch_size=st.sampled_from([1, 2, 7, 32, 50, 80, "full"]),
    momentum=st.sampled_from([0.0, 0.9]),
    nesterov=st.booleans(),
    weight_decay=st.sampled_from([0.0, 0.01]),
    scaling=st.sampled_from(["none", "standardise", "minmax"]),
    classes=st.sampled_from([2, 3]),
)
def test_it_takes_the_steps_of_a_plain_pytorch_loop(
    batch_size, momentum, nesterov, weight_decay, scaling, classes
):
    settings_ = {
        "lr": 0.05,
        "batch_size": batch_size,
        "momentum": momentum,
        "nesterov": nesterov and momentum > 0,
        "weight_decay": weight_decay,
        "scaling": scaling,
    }
    model = mlp(6, [5], 1 if classes == 2 else 3, seed=1)
    theirs = make_plan(copy.deepcopy(model), classes=classes, **settings_)
    ours = make_plan(model, classes=classes, **settings_)
    losses = plain_loop(theirs, 60)
    engine = TorchEngine()
    engine.load(ours)
    stats = engine.advance([0.05] * 60)
    engine.export()
    assert stats.steps == 60
    assert stats.rows == sum(size for _, size in losses)
    assert stats.loss_sum == pytest.approx(sum(loss * n for loss, n in losses), rel=1e-5)
    for name, tensor in theirs.model.state_dict().items():
        assert torch.allclose(model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6), name


def test_each_row_is_used_once_an_epoch_and_the_short_last_batch_is_kept():
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(1, 3)

        def forward(self, x):
            seen.append(x[:, 0].tolist())
            return self.linear(x)

    x = np.arange(10, dtype=np.float32)[:, None]
    samples = Samples(x, None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    plan = Plan(Watched(), Objective("multiclass"), inputs, np.arange(10) % 3, Recipe(batch_size=4))
    engine = TorchEngine()
    engine.load(plan)
    engine.advance([0.1] * plan.steps_per_epoch * 2)
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    first, second = (functools.reduce(operator.iadd, seen[i : i + 3], []) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_how_many_steps_a_call_takes_changes_nothing():
    model = mlp(6, [5], 3, seed=0)
    runs = []
    for calls in ([40], [1] * 40, [3, 17, 20]):
        plan = make_plan(copy.deepcopy(model), batch_size=8, momentum=0.9)
        engine = TorchEngine()
        engine.load(plan)
        stats = [engine.advance([0.1] * n) for n in calls]
        engine.export()
        runs.append((weights(plan.model), sum(s.correct for s in stats)))
    for bits, correct in runs[1:]:
        assert_same_bits(runs[0][0], bits)
        assert runs[0][1] == correct


class Noisy(nn.Module):
    """Draws from torch's own generator, in a way that no list of modules could know."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x):
        return self.linear(x + 0.1 * torch.randn_like(x) if self.training else x)


MODELS = {
    "mlp": lambda: mlp(6, [5], 3, seed=0),
    "dropout": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3)),
    "noise": Noisy,
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_run_continued_from_its_state_has_the_bits_of_one_not_interrupted(kind):
    torch.manual_seed(0)
    model = MODELS[kind]()
    whole = make_plan(copy.deepcopy(model), batch_size=10, momentum=0.9, nesterov=True)
    engine = TorchEngine()
    engine.load(whole)
    engine.advance([0.05] * 23)
    engine.export()

    torch.manual_seed(99)  # another state of torch's generator must not matter
    halves = make_plan(copy.deepcopy(model), batch_size=10, momentum=0.9, nesterov=True)
    first = TorchEngine()
    first.load(halves)
    first.advance([0.05] * 8)
    state = first.export()
    second = TorchEngine()
    second.load(halves, state, step=8)
    second.advance([0.05] * 15)
    second.export()
    assert_same_bits(weights(whole.model), weights(halves.model))


@pytest.mark.parametrize("kind", MODELS)
def test_torchs_generator_modes_and_gradients_are_left_as_they_were(kind):
    model = MODELS[kind]()
    frozen = next(module for module in model.modules() if hasattr(module, "weight"))
    frozen.eval()
    plan = make_plan(model, batch_size=10)
    before = torch.get_rng_state()
    engine = TorchEngine()
    engine.load(plan)
    engine.advance([0.1] * 3, statistics=True)
    forward(model, plan.inputs)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert not frozen.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_frozen_parameters_stay_as_they_are():
    model = mlp(6, [5], 3, seed=0)
    model[1].weight.requires_grad_(False)
    before = weights(model)
    engine = TorchEngine()
    engine.load(make_plan(model))
    engine.advance([0.1] * 5)
    engine.export()
    assert torch.equal(model[1].weight, before["1.weight"])
    assert not torch.equal(model[3].weight, before["3.weight"])


def test_module_list_and_bare_parameters_are_trained():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
            self.scale = nn.Parameter(torch.ones(6))
            self.head = nn.Linear(6, 3)

        def forward(self, x):
            for i, layer in enumerate(self.layers):
                x = torch.tanh(self.layers[i // 2](x) + layer(x)) * self.scale
            return self.head(x)

    model = Mine()
    before = weights(model)
    engine = TorchEngine()
    engine.load(make_plan(model))
    engine.advance([0.1] * 3)
    engine.export()
    assert all(not torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_double_precision_models_are_trained_in_double_precision():
    model = mlp(6, [5], 3, seed=0).double()
    engine = TorchEngine()
    engine.load(make_plan(model))
    engine.advance([0.1])
    assert forward(model, make_plan(model).inputs).dtype == torch.float64


def test_layer_statistics_are_those_of_the_last_step():
    model = mlp(6, [5], 3, activation="tanh", seed=0)
    plan = make_plan(model, batch_size=10)
    engine = TorchEngine()
    engine.load(plan)
    engine.advance([0.1] * 4)
    before = copy.deepcopy(model)
    (first, second) = engine.advance([0.2], statistics=True).layers

    batch = torch.from_numpy(plan.order(0)[40:50])
    x = torch.from_numpy(plan.inputs.block(0, plan.rows))[batch]
    loss = nn.functional.cross_entropy(before(x), torch.from_numpy(plan.targets)[batch])
    loss.backward()
    w = before[1].weight
    assert first.name == "1"
    assert second.name == "3"
    assert first.weight_norm == pytest.approx(w.norm().item(), rel=1e-5)
    assert first.gradient_norm == pytest.approx(w.grad.norm().item(), rel=1e-4)
    assert first.update_ratio == pytest.approx((0.2 * w.grad.norm() / w.norm()).item(), rel=1e-3)
    hidden = torch.tanh(before[1](x)).detach()
    assert first.activation_mean == pytest.approx(hidden.mean().item(), abs=1e-6)
    assert first.activation_std == pytest.approx(hidden.std(correction=0).item(), rel=1e-5)
    assert first.inactive == pytest.approx((hidden.abs() > 0.99).float().mean().item())
    assert second.activation_mean == pytest.approx(before(x).mean().item(), abs=1e-5)


def test_statistics_change_no_number():
    model = mlp(6, [5], 3, seed=0)
    results = []
    for statistics in (True, False):
        plan = make_plan(copy.deepcopy(model), momentum=0.5)
        engine = TorchEngine()
        engine.load(plan)
        for _ in range(5):
            engine.advance([0.1], statistics=statistics)
        engine.export()
        results.append(weights(plan.model))
    assert_same_bits(*results)
