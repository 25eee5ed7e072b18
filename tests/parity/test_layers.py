"""Layers of ours on both engines: against PyTorch and float64, alone, in blocks and in front of a net."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from parity.test_toolbox import ISAS, OPTIMIZERS, check, make_plan, native, parameters_after
from steepest import (
    CategoryEmbedding,
    EnsembleMean,
    EnsembleView,
    LinearBatchEnsemble,
    LinearEnsemble,
    ParametricActivation,
    PeriodicEmbedding,
    Recipe,
    Residual,
    ScalingLayer,
)
from steepest.engine import TorchEngine
from steepest.engine.native import NativeEngine, native_obstacle
from steepest.objective import Objective

pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built here")

FEATURES = 19  # no multiple of a vector's width
NAMES = ("tanh", "sigmoid", "relu", "leaky_relu", "gelu", "silu", "mish", "selu")


def drawn(model):
    """The same net with its vectors away from 1, and with both signs."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("alpha", "scale")):
                p.uniform_(-0.5, 1.5)
    return model


def nets():
    """By what they are: makers of nets, each call with the same numbers."""

    def of(*layers):
        def build():
            torch.manual_seed(0)
            return drawn(nn.Sequential(nn.Flatten(), *(layer() for layer in layers)))

        return build

    def linear(fan_in, fan_out):
        return lambda: nn.Linear(fan_in, fan_out)

    head, front = linear(FEATURES, 23), lambda: ScalingLayer(FEATURES)
    found = {
        name: of(head, lambda name=name: ParametricActivation(name, 23), linear(23, 3))
        for name in NAMES
    }
    block = nn.Sequential(nn.Linear(23, 23), nn.PReLU(23), ScalingLayer(23), nn.Tanh())
    return found | {
        "prelu, one": of(head, nn.PReLU, linear(23, 3)),
        "prelu, each": of(head, lambda: nn.PReLU(23, 0.1), linear(23, 3)),
        "scaling in front": of(front, head, nn.ReLU, linear(23, 3)),
        "scaling inside": of(head, lambda: ScalingLayer(23), nn.Tanh, linear(23, 3)),
        "scaling last": of(head, nn.Tanh, linear(23, 3), lambda: ScalingLayer(3)),
        "in a block": of(
            front,
            head,
            lambda: Residual(copy.deepcopy(block), 0.3),
            lambda: nn.LayerNorm(23),
            lambda: ParametricActivation("selu", 23),
            lambda: nn.Dropout(0.2),
            linear(23, 3),
        ),
        "all first": of(
            front,
            lambda: nn.BatchNorm1d(FEATURES),
            lambda: ParametricActivation("mish", FEATURES),
            linear(FEATURES, 3),
        ),
    }


def embedded(*, scaling=False, inside=False):
    """Numbers in columns 0, 2 and 7 .. 18, two categories in 3 .. 5 and 6, and 1 as it is."""

    def build():
        torch.manual_seed(1)
        categories = CategoryEmbedding(FEATURES, [(3, 6), (6, 7)], 5)
        front = [categories, PeriodicEmbedding(categories.width, [0, *range(2, 14)], sigma=0.4)]
        width = categories.width + 3 * 13
        if inside:  # the gradient of its inputs is wanted
            front = [nn.Linear(FEATURES, FEATURES), nn.Tanh(), *front]
        if scaling:
            front.insert(0, ScalingLayer(FEATURES))
            front.append(ScalingLayer(width))
        return nn.Sequential(
            nn.Flatten(), *front, nn.Linear(width, 17), nn.SiLU(), nn.Linear(17, 3)
        )

    return build


def shared(*, outputs=3, members=5, width=12, dropout=0.0):
    """Members behind an embedding, with layers of all kinds that look at one row."""

    def build():
        torch.manual_seed(2)
        periodic = PeriodicEmbedding(FEATURES, [1, 2, 5], sigma=0.4)
        block = nn.Sequential(LinearBatchEnsemble(width, width, members, "he"), nn.Tanh())
        model = nn.Sequential(
            *(nn.Flatten(), periodic, EnsembleView(members)),
            *(LinearBatchEnsemble(periodic.width, width, members, "he", signs=True), nn.SiLU()),
            *(Residual(block), nn.LayerNorm(width), ParametricActivation("mish", width)),
            *(nn.Dropout(dropout), nn.PReLU(), nn.Linear(width, width), ScalingLayer(width)),
            *(LinearEnsemble(width, outputs, members, "he"), EnsembleMean()),
        )
        with torch.no_grad():
            for name, p in model.named_parameters():
                if name.endswith((".r", ".s")) or p.shape == (members, outputs):
                    p.add_(0.3 * torch.randn_like(p))
        return model

    return build


NETS = nets() | {
    "shared": shared(),
    "shared, dropout": shared(dropout=0.25, width=16),
    "shared, many": shared(members=33, width=7),
    "embeddings": embedded(),
    "embeddings inside": embedded(inside=True),
    "embeddings and scaling": embedded(scaling=True),
}
BRIEFLY = ["shared, dropout", "prelu, one", "in a block", "embeddings", "embeddings and scaling"]
DATA = {"rows": 90, "shape": (FEATURES,), "outputs": 3}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("of_net", NETS)
def test_it_computes_what_pytorch_computes(isa, of_net):
    check(isa, NETS[of_net], Recipe(batch_size=32, seed=3, lr=0.05, momentum=0.5), **DATA)


@pytest.mark.parametrize("isa", ISAS)
def test_zeros_are_skipped_in_categories_alone(isa):
    recipe = Recipe(batch_size=32, seed=3, lr=0.05, momentum=0.5)
    check(isa, NETS["embeddings and scaling"], recipe, kind="bytes", **DATA)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("of_net", BRIEFLY)
def test_every_optimizer(optimizer, of_net):
    if optimizer == "muon" and of_net in ("prelu, one", "embeddings and scaling"):
        pytest.skip("there is no weight between two hidden layers")
    check(ISAS[-1], NETS[of_net], Recipe(batch_size=32, seed=3, **OPTIMIZERS[optimizer]), **DATA)


@pytest.mark.parametrize(
    "setting",
    [
        {"l1": 1e-3, "l2": 1e-2, "penalise_biases": True},
        {"clip_norm": 0.05, "l2": 0.01, "penalise_biases": True},
        {"accumulate": 3, "momentum": 0.9},
        {"accumulate": 2, "clip_norm": 0.1},
        {"ema": 0.9},
        {"batch_size": 1},
        {"batch_size": 33, "threads": 2},
        {"groups": {"*": {"lr_scale": 0.5}}, "threads": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("of_net", BRIEFLY)
def test_every_way_of_a_gradient(setting, of_net):
    recipe = {"batch_size": 32, "seed": 1, "lr": 0.02} | setting
    check(ISAS[-1], NETS[of_net], Recipe(**recipe), **DATA)


@pytest.mark.parametrize(
    "setting",
    [{"outputs": 1}, {"outputs": 4, "mixup": 0.4}, {"outputs": 3, "label_smoothing": 0.2}],
    ids=str,
)
def test_members_have_the_mean_of_their_losses_and_answers(setting):
    outputs, more = setting["outputs"], {k: v for k, v in setting.items() if k != "outputs"}
    recipe = Recipe(batch_size=16, seed=2, lr=0.05, class_weight="balanced", **more)
    rows = {**DATA, "outputs": outputs}
    check(ISAS[-1], shared(outputs=outputs), recipe, **rows)
    found = []
    for engine in (NativeEngine(), TorchEngine()):
        engine.load(make_plan(shared(outputs=outputs)(), recipe, **rows))
        found.append(engine.advance([0.1] * 30))
    assert found[0].correct == pytest.approx(found[1].correct, abs=2)
    assert found[0].rows == found[1].rows


def test_members_of_rows_with_several_classes():
    found = []
    for engine in (NativeEngine(), TorchEngine()):
        plan = make_plan(shared(outputs=2)(), Recipe(batch_size=16, seed=2), **DATA)
        labels = np.random.default_rng(0).integers(0, 2, (90, 2))
        plan = replace(plan, objective=Objective("multilabel"), targets=labels)
        engine.load(plan)
        found.append((engine.advance([0.1] * 30), plan.model))
        engine.export()
    (ours, mine), (theirs, other) = found
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
    assert ours.correct == pytest.approx(theirs.correct, abs=2)
    for p, q in zip(mine.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "obstacle"),
    [
        ([nn.Dropout(0.2)], "module '2' (Dropout) drops from members of 7 numbers, not fours"),
        ([nn.BatchNorm1d(3)], "module '2' (BatchNorm1d) stands behind EnsembleView"),
        ([EnsembleView(2)], "module '2' (EnsembleView) stands behind EnsembleView"),
        (
            [LinearBatchEnsemble(7, 7, 2)],
            "module '2' (LinearBatchEnsemble) has 2 members, but a row",
        ),
        ([EnsembleMean(), nn.Tanh()], "module '3' (Tanh) stands behind EnsembleView"),
    ],
    ids=str,
)
def test_what_looks_beyond_a_member_is_declined(layers, obstacle):
    model = nn.Sequential(nn.Linear(FEATURES, 7), EnsembleView(3), *layers)
    found = native_obstacle(make_plan(model, Recipe(), **DATA))
    assert found.startswith(obstacle)


def test_members_without_an_answer_are_declined():
    model = nn.Sequential(nn.Linear(FEATURES, 7), EnsembleView(3), LinearEnsemble(7, 3, 3))
    found = native_obstacle(make_plan(model, Recipe(), **DATA))
    assert found == "the members of the net do not end in EnsembleMean"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("of_net", [*BRIEFLY, "all first"])
def test_the_number_of_threads_and_of_calls_changes_no_bit(isa, of_net, monkeypatch):
    monkeypatch.setenv("STEEPEST_ISA", isa)
    recipe = Recipe(batch_size=31, clip_norm=1.0)
    found = [
        parameters_after(NETS[of_net](), recipe.replace(threads=threads), calls, **DATA)
        for threads, calls in ((1, [12]), (2, [12]), (3, [1] * 12))
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("of_net", ["selu", "prelu, one", "scaling inside", "shared"])
def test_layer_statistics_are_those_of_the_torch_engine(of_net):
    layers = []
    for engine in (NativeEngine(), TorchEngine()):
        engine.load(make_plan(NETS[of_net](), Recipe(batch_size=32), **DATA))
        layers.append(engine.advance([0.1] * 3, statistics=True).layers)
    for ours, theirs in zip(*layers, strict=True):
        for field in ("activation_mean", "activation_std", "inactive", "update_ratio"):
            found, expected = getattr(ours, field), getattr(theirs, field)
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-6), field


@pytest.mark.parametrize(
    ("layer", "takes"),
    [
        (ParametricActivation("silu", 5), 5),
        (ScalingLayer(5), 5),
        (nn.PReLU(5), 5),
        (PeriodicEmbedding(5), 5),
        (CategoryEmbedding(5, [(0, 2)]), 5),
    ],
    ids=repr,
)
def test_another_width_is_declined(layer, takes):
    model = nn.Sequential(nn.Linear(FEATURES, 7), layer, nn.Linear(7, 3))
    found = native_obstacle(make_plan(model, Recipe(), **DATA))
    name = type(layer).__name__
    assert found == f"module '1' ({name}) takes {takes} numbers, but a row has 7 there"


def test_a_parametric_activation_is_the_formula_and_its_gradient():
    x = torch.linspace(-3, 3, 12, dtype=torch.float64).reshape(4, 3).requires_grad_()
    layer = drawn(ParametricActivation("mish", 3).double())
    assert torch.autograd.gradcheck(layer, (x,))
    z = x.detach().numpy()
    mish = z * np.tanh(np.log1p(np.exp(z)))
    expected = z + layer.alpha.detach().numpy() * (mish - z)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12)
