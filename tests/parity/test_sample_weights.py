"""Rows with weights: both engines follow the loss that PyTorch makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine
from steepest.engine.native import NativeEngine, extension, native_obstacle
from steepest.objective import Objective

pytestmark = pytest.mark.skipif(extension() is None, reason="the native engine is not built here")

N, D, STEPS = 53, 7, 40
SETTINGS = {
    "plain": {},
    "class weights": {"class_weight": (1.0, 2.0, 0.25)},
    "balanced": {"class_weight": "balanced"},
    "smoothed": {"label_smoothing": 0.2, "class_weight": (1.0, 2.0, 0.25)},
    "accumulated": {"accumulate": 3},
    "accumulated, weighted, smoothed": {
        "accumulate": 2,
        "class_weight": (0.0, 2.0, 0.25),
        "label_smoothing": 0.1,
    },
}
WEIGHTS = {
    "any": np.random.default_rng(3).exponential(1.0, N),
    "counts": np.random.default_rng(4).integers(0, 4, N),
    "nearly all 0": np.r_[np.zeros(N - 3), 1.0, 5.0, 0.5],
}


def plan(kind, weights, **settings):
    rng = np.random.default_rng(0)
    outputs = {"multiclass": 3, "binary": 1, "multilabel": 3}[kind]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(D, 9), nn.Tanh(), nn.Linear(9, outputs))
    samples = Samples(rng.normal(size=(N, D)).astype(np.float32), None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    shape = (N, 3) if kind == "multilabel" else N
    targets = rng.integers(0, 3 if kind == "multiclass" else 2, shape)
    recipe = Recipe(batch_size=8, lr=0.1, momentum=0.9, threads=1, **settings)
    weights = np.asarray(weights, dtype=np.float32)
    return Plan(model, Objective(kind), inputs, targets, recipe, sample_weights=weights)


def trained(engine, of):
    assert not isinstance(engine, NativeEngine) or native_obstacle(of) is None
    engine.load(of)
    losses = [engine.advance([0.1] * 2).loss for _ in range(STEPS // 2)]
    engine.export()
    return torch.cat([p.detach().double().flatten() for p in of.model.parameters()]), losses


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
def test_the_native_engine_is_the_torch_engine(kind, settings, weights):
    settings = dict(SETTINGS[settings])
    if kind == "multilabel" and settings.get("class_weight") == "balanced":
        settings["class_weight"] = (1.0, 0.5, 2.0)
    if kind == "binary" and isinstance(settings.get("class_weight"), tuple):
        settings["class_weight"] = settings["class_weight"][:2]
    if kind != "multiclass":
        settings["pos_weight"] = 1.5
    if kind == "multilabel":
        settings["task"] = "multilabel"
    weights = WEIGHTS[weights]
    native, losses = trained(NativeEngine(), plan(kind, weights, **settings))
    ours, expected = trained(TorchEngine(), plan(kind, weights, **settings))
    of_double = plan(kind, weights, **settings)
    exact, _ = trained(TorchEngine(), replace(of_double, model=of_double.model.double()))
    error = (native - exact).abs().max()
    assert error <= 2 * (ours - exact).abs().max() + 1e-6
    assert losses == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("engine", [NativeEngine, TorchEngine])
def test_it_is_a_plain_loop_with_the_weighted_mean(engine):
    of = plan("multiclass", WEIGHTS["any"], class_weight=(1.0, 2.0, 0.25))
    model = plan("multiclass", WEIGHTS["any"]).model.double()
    v, w = torch.from_numpy(WEIGHTS["any"]), torch.tensor([1.0, 2.0, 0.25]).double()
    x, y = torch.from_numpy(np.array(of.inputs.array)).double(), torch.from_numpy(of.targets)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for step in range(STEPS):
        epoch, i = divmod(step, of.steps_per_epoch)
        rows = torch.from_numpy(of.order(epoch)).split(8)[i]
        losses = F.cross_entropy(model(x[rows]), y[rows], weight=w, reduction="none")
        optimizer.zero_grad()
        ((v[rows] * losses).sum() / (v[rows] * w[y[rows]]).sum()).backward()
        optimizer.step()
    found, _ = trained(engine(), of)
    expected = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("engine", [NativeEngine, TorchEngine])
def test_in_full_batches_a_count_is_a_row_that_is_there_so_often(engine):
    counts = WEIGHTS["counts"]
    weighted = plan("multiclass", counts, class_weight="balanced").recipe.replace(batch_size="full")
    once = plan("multiclass", counts, class_weight="balanced")
    found, _ = trained(engine(), replace(once, recipe=weighted))
    often = np.repeat(np.arange(N), counts)
    repeated = replace(
        plan("multiclass", counts, class_weight="balanced"),
        inputs=replace(once.inputs, rows=often),
        targets=once.targets[often],
        recipe=weighted,
        sample_weights=None,
    )
    expected, _ = trained(engine(), repeated)
    assert torch.allclose(found, expected, atol=1e-5)
