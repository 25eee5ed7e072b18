"""Products of bfloat16: on both engines the same mathematics, on every processor the same bits."""

import numpy as np
import pytest
import torch
from torch import nn

from parity.test_toolbox import (
    ISAS,
    NativeEngine,
    TorchEngine,
    make_plan,
    native,
    net,
    parameters_after,
    trained,
)
from steepest import Recipe
from steepest.engine.native import native_obstacle
from steepest.engine.rows import Rows
from steepest.nn import EnsembleMean, EnsembleView, LinearBatchEnsemble, LinearEnsemble

pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built here")

BF16 = Recipe(precision="bf16", batch_size=33, epochs=50, lr=0.1)

# Odd widths, odd minibatches and one that is smaller than the others, so that pairs have no second.
CASES = {
    "sgd": (BF16, {}),
    "momentum, batch norm": (BF16.replace(momentum=0.9, nesterov=True), {"norm": "batch"}),
    "layer norm, dropout": (BF16.replace(batch_size=7), {"norm": "layer", "dropout": 0.25}),
    "residual, adamw": (BF16.replace(optimizer="adamw", lr=1e-3), {"residual": True, "depth": 0.3}),
    "clipped, gathered": (BF16.replace(accumulate=2, clip_norm=0.5), {}),
    "decay, penalties, average": (BF16.replace(weight_decay=0.01, l1=1e-4, l2=1e-4, ema=0.9), {}),
    "one row": (BF16.replace(batch_size=1, lr=0.01), {}),
    "mixup": (BF16.replace(mixup=0.4), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_engines_agree_as_far_as_sums_in_another_order_do(name):
    """A sum that differs in its last bit may round to the other neighbour in bfloat16, one of 256."""
    recipe, form = CASES[name]
    odd = {"shape": (3, 5, 7), "outputs": 7}
    ours, _, losses = trained(NativeEngine(), net(105, 7, **form), recipe, 4, **odd)
    theirs, _, other = trained(TorchEngine(), net(105, 7, **form), recipe, 4, **odd)
    whole, _, _ = trained(
        TorchEngine(), net(105, 7, **form), recipe.replace(precision="float32"), 4, **odd
    )
    apart, rounded = distance(ours, theirs), distance(whole, theirs)
    assert rounded > 1e-6  # it is there
    assert apart < rounded / 20
    assert np.abs(np.subtract(losses, other)).max() < 1e-4


def distance(model, other):
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def test_a_step_is_that_of_rounded_factors_in_float64():
    model = nn.Sequential(nn.Linear(13, 9), nn.Tanh(), nn.Linear(9, 5))
    plan = make_plan(model, BF16.replace(batch_size="full"), rows=21, shape=(13,))
    (w1, b1), (w2, b2) = ([p.detach().double() for p in model[i].parameters()] for i in (0, 2))
    x = Rows(plan.inputs, like=b1)[torch.arange(21)].double()
    a = torch.tanh(rounded(x) @ rounded(w1).T + b1)
    z = rounded(a) @ rounded(w2).T + b2
    dz = (torch.softmax(z, 1) - nn.functional.one_hot(torch.from_numpy(plan.targets), 5)) / 21
    da = (rounded(dz) @ rounded(w2)) * (1 - a * a)
    expected = [
        w1 - 0.5 * rounded(da).T @ rounded(x),
        b1 - 0.5 * da.sum(0),
        w2 - 0.5 * rounded(dz).T @ rounded(a),
        b2 - 0.5 * dz.sum(0),
    ]
    engine = NativeEngine()
    engine.load(plan)
    engine.advance([0.5])
    engine.update_model()
    for p, wanted in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach().double(), wanted, rtol=0, atol=2e-7)


def rounded(values):
    return values.float().to(torch.bfloat16).double()


@pytest.mark.parametrize("threads", [2, 3])
def test_no_bit_depends_on_the_number_of_threads_or_calls(threads):
    alone = parameters_after(net(108, 5), BF16.replace(threads=1), [12])
    shared = parameters_after(net(108, 5), BF16.replace(threads=threads), [5, 7])
    assert torch.equal(alone, shared)


def test_no_bit_depends_on_whether_the_processor_has_such_products(monkeypatch):
    """Unforced it takes its own instruction, where there is one; forced it never does."""
    form = {"shape": (3, 5, 7), "outputs": 7}
    kept = []
    for isa in (native.isa(None), ""):
        monkeypatch.setenv("STEEPEST_ISA", isa)
        model = nn.Sequential(nn.Flatten(), nn.Linear(105, 37), nn.ReLU(), nn.Linear(37, 7))
        with torch.no_grad():
            for i, p in enumerate(model.parameters()):
                p.copy_(torch.linspace(-0.3, 0.3 + i / 100, p.numel()).view_as(p))
                if p.ndim == 2:  # products and weights far below the smallest normal number, too
                    p[0] *= 1e-37
        kept.append(parameters_after(model, BF16.replace(threads=1), [15], **form))
    assert torch.equal(*kept)


@pytest.mark.parametrize("isa", ISAS)
def test_products_are_emulated_on_every_instruction_set(isa, monkeypatch):
    monkeypatch.setenv("STEEPEST_ISA", isa)
    engine = NativeEngine()
    engine.load(make_plan(net(108, 5), BF16))
    assert engine.description.endswith("products of bfloat16 emulated")
    ours, _, _ = trained(NativeEngine(), net(108, 5), BF16, 6)
    theirs, _, _ = trained(TorchEngine(), net(108, 5), BF16, 6)
    assert distance(ours, theirs) < 1e-5


def test_members_that_share_a_matrix_and_muon_run_too():
    def shared():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Flatten(), EnsembleView(3), LinearBatchEnsemble(108, 16, 3), nn.ReLU(),
            LinearBatchEnsemble(16, 5, 3), EnsembleMean("softmax"),
        )  # fmt: skip

    ours, _, _ = trained(NativeEngine(), shared(), BF16, 6)
    theirs, _, _ = trained(TorchEngine(), shared(), BF16, 6)
    assert distance(ours, theirs) < 1e-5
    recipe = Recipe(precision="bf16", optimizer="muon", batch_size=33, epochs=50)
    ours, _, losses = trained(NativeEngine(), net(108, 5), recipe, 6)
    theirs, _, other = trained(TorchEngine(), net(108, 5), recipe, 6)
    assert distance(ours, theirs) < 1e-2  # a step of Muon is as long for a gradient of nothing
    assert np.abs(np.subtract(losses, other)).max() < 1e-3


def test_heads_of_members_are_declined_in_one_line():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(108, 8), EnsembleView(3), LinearEnsemble(8, 5, 3), EnsembleMean("softmax")
    )  # fmt: skip
    found = native_obstacle(make_plan(model, BF16))
    assert found == "the products of LinearEnsemble are of float32 alone, and precision is bf16"
    assert native_obstacle(make_plan(model, BF16.replace(precision="float32"))) is None


def test_what_is_no_number_stays_none(monkeypatch):
    for isa in ("", native.isa(None)):
        monkeypatch.setenv("STEEPEST_ISA", isa)
        model = nn.Sequential(nn.Flatten(), nn.Linear(108, 6), nn.Tanh(), nn.Linear(6, 5))
        with torch.no_grad():
            model[1].weight[2, 3] = float("nan")
        engine = NativeEngine()
        engine.load(make_plan(model, BF16))
        assert np.isnan(engine.advance([0.1]).loss)
