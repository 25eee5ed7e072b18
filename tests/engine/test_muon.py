"""Muon is torch.optim.Muon for hidden matrices and torch.optim.AdamW for all the rest."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine, parameter_settings
from steepest.engine.native import NativeEngine, extension, native_obstacle
from steepest.engine.optimizers import orthogonalised
from steepest.errors import RecipeError
from steepest.nn import PeriodicEmbedding
from steepest.objective import Objective

needs_native = pytest.mark.skipif(extension() is None, reason="the native engine is not built here")


def net(widths=(6, 14, 10, 14, 4)):
    torch.manual_seed(1)
    layers = []
    for n, m in itertools.pairwise(widths):
        layers += [nn.Linear(n, m), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def plan_of(model, recipe, features=6, rows=70):
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(0, 1, (rows, features)).astype(np.float32), None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    return Plan(model, Objective("multiclass"), inputs, rng.integers(0, 4, rows), recipe)


def advanced(engine, plan, rates):
    engine.load(plan)
    engine.advance(rates)
    return plan.model, engine.export()


@pytest.mark.parametrize("in_bfloat16", [False, True])
def test_it_is_that_of_torch(monkeypatch, in_bfloat16):
    """PyTorch multiplies in bfloat16; with that taken away the two are the same to rounding."""
    recipe = Recipe(optimizer="muon", weight_decay=0.1, muon_momentum=0.9, batch_size=16)
    rates = np.linspace(0.02, 0.001, 40).tolist()
    ours, _ = advanced(TorchEngine(), plan_of(net().double(), recipe), rates)
    plan = plan_of(net().double(), recipe)
    named = dict(plan.model.named_parameters())
    hidden = [named["2.weight"], named["4.weight"]]
    weights = [named["0.weight"], named["6.weight"]]
    biases = [p for name, p in named.items() if name.endswith("bias")]
    muon = torch.optim.Muon(hidden, momentum=0.9, weight_decay=0.1)
    adamw = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0}]
    )
    if not in_bfloat16:
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    x = torch.from_numpy(plan.inputs.block(0, plan.rows)).double()
    y = torch.from_numpy(plan.targets)
    for step, rate in enumerate(rates):
        batch = torch.from_numpy(plan.minibatch(step))
        for optimizer, factor in ((muon, 1.0), (adamw, 0.05)):
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        nn.functional.cross_entropy(plan.model(x[batch]), y[batch]).backward()
        muon.step()
        adamw.step()
    begun, theirs = net().double().state_dict(), plan.model.state_dict()
    for name, value in ours.state_dict().items():
        if in_bfloat16:
            moved = float((value - begun[name]).norm())
            assert float((value - theirs[name]).norm()) < 0.1 * moved
        else:
            assert torch.allclose(value, theirs[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(20, 7), (7, 20), (12, 12), (1, 5)])
def test_it_keeps_the_singular_vectors_and_brings_the_values_near_1(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.double)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ orthogonalised(matrix) @ v.T
    values = turned.diagonal()
    assert torch.allclose(turned, torch.diag(values), atol=1e-9)
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


@needs_native
@pytest.mark.parametrize("threads", [2, 3])
def test_no_bit_depends_on_the_number_of_threads(threads):
    widths = (6, 40, 23, 70, 4)
    recipe = Recipe(optimizer="muon", batch_size=16, ema=0.9, threads=1)
    one, kept = advanced(NativeEngine(), plan_of(net(widths), recipe), [0.02] * 12)
    more = recipe.replace(threads=threads)
    other, also = advanced(NativeEngine(), plan_of(net(widths), more), [0.02] * 12)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    for name, state in kept.items():
        assert all(torch.equal(value, also[name][key]) for key, value in state.items())


@needs_native
def test_both_engines_keep_the_same_of_each_parameter_and_go_on_from_it():
    recipe = Recipe(optimizer="muon", batch_size=16)
    for engine in (NativeEngine, TorchEngine):
        whole, kept = advanced(engine(), plan_of(net(), recipe), [0.02] * 9)
        assert set(kept["2.weight"]) == {"momentum_buffer"}
        assert set(kept["0.weight"]) == {"exp_avg", "exp_avg_sq", "step"}
        half = plan_of(net(), recipe)
        _, state = advanced(engine(), half, [0.02] * 4)
        rest = engine()
        rest.load(half, state, 4)
        rest.advance([0.02] * 5)
        rest.export()
        for name, value in whole.state_dict().items():
            assert torch.equal(value, half.model.state_dict()[name])


@needs_native
def test_statistics_are_those_of_the_torch_engine():
    recipe = Recipe(optimizer="muon", batch_size=16)
    found = []
    for engine in (NativeEngine(), TorchEngine()):
        engine.load(plan_of(net(), recipe))
        engine.advance([0.02] * 3)
        found.append(engine.advance([0.02], statistics=True).layers)
    for one, other in zip(*found, strict=True):
        assert one.update_ratio == pytest.approx(other.update_ratio, rel=1e-3)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)


def test_hidden_matrices_alone_are_its_own():
    model = nn.Sequential(
        nn.Embedding(9, 5), nn.Flatten(), nn.Linear(10, 8), nn.LayerNorm(8), nn.Linear(8, 1)
    )
    recipe = Recipe(optimizer="muon", weight_decay=0.1, groups={"4.*": {"lr_scale": 0.5}})
    settings = parameter_settings(recipe, model)
    assert [name for name, own in settings.items() if own.muon] == ["2.weight"]
    assert settings["2.weight"].lr_scale == 1.0
    assert settings["0.weight"].lr_scale == 0.05
    assert settings["4.weight"].lr_scale == 0.025
    assert settings["4.weight"].weight_decay == 0.1
    assert settings["3.weight"].weight_decay == settings["2.bias"].weight_decay == 0.0


@needs_native
def test_embeddings_of_ours_are_not_its_own_on_either_engine():
    recipe = Recipe(optimizer="muon", batch_size=16)
    found = []
    for engine in (NativeEngine(), TorchEngine()):
        torch.manual_seed(1)
        embedding = PeriodicEmbedding(6)
        model = nn.Sequential(
            embedding, nn.Linear(embedding.width, 12), nn.Tanh(), nn.Linear(12, 4)
        )
        trained, state = advanced(engine, plan_of(model, recipe), [0.02] * 5)
        assert [n for n, kept in state.items() if "momentum_buffer" in kept] == ["1.weight"]
        found.append(trained.state_dict())
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], atol=1e-4)


def test_of_a_batch_ensemble_it_moves_the_shared_weights():
    layers = [
        nn.Linear(6, 8),
        sp.LinearBatchEnsemble(8, 8, 4),
        nn.Linear(8, 8),
        sp.LinearEnsemble(8, 3, 4),
    ]
    settings = parameter_settings(Recipe(optimizer="muon"), nn.Sequential(*layers))
    assert {name for name, own in settings.items() if own.muon} == {"1.weight", "2.weight"}


def test_a_net_without_hidden_matrices_is_refused():
    recipe = Recipe(optimizer="muon")
    with pytest.raises(RecipeError) as error:
        parameter_settings(recipe, net((6, 8, 4)))
    assert str(error.value) == (
        "muon moves the weights between two hidden layers, and this model has none: give it two "
        "hidden layers, hidden = [100, 100] for instance, or take adamw"
    )


@needs_native
def test_frozen_ends_leave_it_alone_on_the_torch_engine():
    model = net((6, 8, 8, 4))
    for name, p in model.named_parameters():
        p.requires_grad_(name == "2.weight")
    plan = plan_of(model, Recipe(optimizer="muon", batch_size=16))
    assert native_obstacle(plan) is not None
    before = model[2].weight.detach().clone()
    _, state = advanced(TorchEngine(), plan, [0.02] * 3)
    assert set(state) == {"2.weight"}
    assert not torch.equal(model[2].weight, before)
