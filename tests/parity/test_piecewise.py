"""Piecewise linear columns are looked up by the native engine: as the product with all of them."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from steepest import Recipe
from steepest.data import Inputs, Scaler
from steepest.data.numeric import NumericTransform
from steepest.engine import NativeEngine, Plan, TorchEngine
from steepest.engine.inference import native_outputs
from steepest.extension import extension
from steepest.objective import Objective

pytestmark = pytest.mark.skipif(extension() is None, reason="the native engine was not built")

LOOKED_UP = "piecewise linear inputs looked up"


def both(rows=301, bins=24, seed=0):
    """Rows as they are kept and as all columns: constant, with ties, and two that are no numbers."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 9))
    x[:, 1], x[:, 2] = 1.0, rng.integers(0, 3, rows)
    x[:, 4] = (x[:, 4] > 0) * 1.0  # a level: mostly zeros
    x[::19] *= 4
    fitted = NumericTransform.fit(
        "piecewise", x[: rows // 2], np.array([0, 1, 2, 3, 5, 7, 8]), bins
    )
    kept = Inputs(fitted.code(x), None, Scaler(), piecewise=fitted.columns)
    return kept, Inputs(fitted.apply(x), None, Scaler())


def net(inputs, outputs=3, hidden=37):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def trained(engine, inputs, steps=30, **settings):
    settings = {"batch_size": 32, "optimizer": "adamw", "lr": 1e-2, "threads": 1, **settings}
    model = net(inputs.shape[0])
    targets = np.arange(len(inputs)) * 7 % 3
    engine.load(Plan(model, Objective("multiclass"), inputs, targets, Recipe(**settings)))
    stats = engine.advance([settings["lr"]] * steps, statistics=True)
    engine.export()
    return model, stats


def assert_near(one, other, atol):
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=atol)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_size": 1},
        {"batch_size": "full"},
        {"optimizer": "sgd", "lr": 0.05},
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "l1": 1e-4},
        {"clip_norm": 0.1, "accumulate": 3, "ema": 0.9},
    ],
)
@pytest.mark.parametrize("bins", [1, 5, 64])
def test_training_is_that_on_all_columns(settings, bins):
    kept, dense = both(bins=bins)
    looked_up, multiplied = NativeEngine(), NativeEngine()
    found, stats = trained(looked_up, kept, **settings)
    expected, its = trained(multiplied, dense, **settings)
    assert LOOKED_UP in looked_up.description
    assert LOOKED_UP not in multiplied.description
    assert stats.loss == pytest.approx(its.loss, rel=1e-5)
    assert [layer.gradient_norm for layer in stats.layers] == pytest.approx(
        [layer.gradient_norm for layer in its.layers], rel=1e-3
    )
    # AdamW divides by the size of a gradient: of one near 0 rounding tells the sign.
    assert_near(found, expected, 1e-5 if settings.get("optimizer") == "sgd" else 2e-3)
    by_torch, _ = trained(TorchEngine(), kept, **settings)
    assert_near(found, by_torch, 1e-5 if settings.get("optimizer") == "sgd" else 2e-3)


def test_the_error_is_no_larger_than_that_of_the_product():
    kept, dense = both(rows=2000)
    model = net(kept.shape[0], hidden=64)
    exact = copy.deepcopy(model).double()(torch.from_numpy(dense.array).double()).detach()
    found, product = native_outputs(model, kept), native_outputs(model, dense)
    assert found is not None
    assert product is not None
    largest = float((product - exact).abs().max())
    assert 0 < float((found - exact).abs().max()) < 3 * largest


@pytest.mark.parametrize("threads", [2, 3])
def test_no_bit_depends_on_the_threads(threads):
    kept, _ = both()
    one, _ = trained(NativeEngine(), kept, batch_size=64)
    several, _ = trained(NativeEngine(), kept, batch_size=64, threads=threads)
    for p, q in zip(one.parameters(), several.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("why", ["bins", "first", "mixup"])
def test_where_they_are_not_looked_up_they_are_multiplied(why):
    kept, dense = both(bins=65 if why == "bins" else 5)
    settings = {"mixup": 0.3} if why == "mixup" else {}
    models = []
    for inputs in (kept, dense):
        torch.manual_seed(0)
        model = net(inputs.shape[0])
        model = nn.Sequential(nn.LayerNorm(inputs.shape[0]), model) if why == "first" else model
        engine = NativeEngine()
        recipe = Recipe(batch_size=32, lr=0.1, threads=1, **settings)
        targets = np.arange(len(inputs)) % 3
        engine.load(Plan(model, Objective("multiclass"), inputs, targets, recipe))
        engine.advance([0.1] * 20)
        engine.export()
        assert LOOKED_UP not in engine.description
        models.append(model)
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(p, q)
