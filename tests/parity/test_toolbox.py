"""The toolbox on both engines: the native one is the torch one, which is PyTorch, over 100 steps."""

import numpy as np
import pytest
import torch
from torch import nn

from steepest import Recipe, Residual
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine
from steepest.engine.native import NativeEngine, extension, native_obstacle
from steepest.objective import Objective

native = extension()
pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built here")


def available(*names):
    found = []
    for name in names if native else ():
        try:
            found.append(native.isa(name))
        except RuntimeError:
            continue
    return found


ISAS = available("x86-64-v2", "x86-64-v3", "x86-64-v4", "neon")


def net(features, outputs, *, norm=None, dropout=0.0, residual=False, depth=0.0, seed=0):
    torch.manual_seed(seed)
    norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, None: None}
    layers = [nn.Flatten(), nn.Linear(features, 24)]
    for i in range(2):
        block = [nn.Linear(24, 24)]
        if norms[norm]:
            block.append(norms[norm](24))
        block.append(nn.Tanh() if i else nn.GELU())
        if dropout:
            block.append(nn.Dropout(dropout))
        layers += [Residual(nn.Sequential(*block), depth)] if residual else block
    model = nn.Sequential(*layers, nn.Linear(24, outputs))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
    return model


def make_plan(model, recipe, *, rows=150, shape=(3, 6, 6), kind="floats", outputs=5, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "bytes":
        array = rng.integers(0, 256, (rows, *shape))
        array = (array * (rng.random(array.shape) < 0.4)).astype(np.uint8)
    else:
        array = rng.normal(0.3, 1, (rows, *shape)).astype(np.float32)
    samples = Samples(array, None, "test")
    inputs = Preprocessing.fit(samples, "auto").prepare(samples)
    targets = rng.integers(0, max(2, outputs), rows)
    objective = Objective("binary" if outputs == 1 else "multiclass")
    return Plan(model, objective, inputs, targets, recipe)


def trained(engine, model, recipe, steps, **data):
    """The model and the optimizer's state after some steps, and the losses, two steps a call."""
    plan = make_plan(model, recipe, **data)
    assert not isinstance(engine, NativeEngine) or native_obstacle(plan) is None
    engine.load(plan)
    rates = np.linspace(1.0, 0.3, steps) * recipe.base_lr
    stats = [engine.advance(rates[i : i + 2].tolist()) for i in range(0, steps, 2)]
    return model, engine.export(), [s.loss for s in stats]


def parameters_after(model, recipe, calls, **data):
    """All parameters in one vector after so many steps in each call of the native engine, rate 0.1."""
    engine = NativeEngine()
    engine.load(make_plan(model, recipe, **data))
    for steps in calls:
        engine.advance([0.1] * steps)
    engine.export()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def largest_error(tensors, exact):
    return max(
        float((tensors[name].double() - value.double()).abs().max())
        for name, value in exact.items()
        if value.is_floating_point()
    )


def flat(model, state):
    """Parameters, buffers and the optimizer's state by one name each."""
    kept = {f"{n}/{k}": t for n, values in state.items() for k, t in values.items()}
    return {**model.state_dict(), **kept}


OPTIMIZERS = {
    "sgd": {"lr": 0.05},
    "momentum": {"lr": 0.02, "momentum": 0.9},
    "nesterov": {"lr": 0.02, "momentum": 0.9, "nesterov": True},
    "adam": {"optimizer": "adam", "lr": 0.002, "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.002, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "lr": 0.001},
    # With the usual eps these two make of a gradient that is nothing but rounding (that of a shift before a
    # batch norm) a step as long as any, and the comparison one of two chances.
    "muon": {"optimizer": "muon", "lr": 0.01, "weight_decay": 0.1, "eps": 1e-3},
    "rmsprop with momentum": {"optimizer": "rmsprop", "lr": 5e-4, "momentum": 0.8, "eps": 1e-3},
}
MUON = {"optimizer": "muon", "lr": 0.01}
SETTINGS = {
    "muon, penalised and averaged": {**MUON, "l1": 1e-3, "l2": 1e-2, "ema": 0.9},
    "muon, clipped": {**MUON, "clip_value": 0.003, "muon_momentum": 0.8},
    "muon, accumulated and clipped": {**MUON, "accumulate": 2, "clip_norm": 0.1},
    "penalties": {"l1": 1e-3, "l2": 1e-2},
    "penalised biases": {"l1": 1e-3, "l2": 1e-2, "penalise_biases": True},
    "clip_norm": {"clip_norm": 0.05, "l2": 0.01},
    "clip_value": {"clip_value": 0.003},
    "accumulate": {"accumulate": 3, "momentum": 0.9, "lr": 0.02},
    "accumulate and clip": {"accumulate": 2, "clip_norm": 0.1},
    "ema": {"ema": 0.9},
    "groups": {
        "groups": {"1.*": {"lr_scale": 0.1}, "*.bias": {"weight_decay": 0.0}},
        "weight_decay": 0.1,
    },
    "groups by role": {
        "groups": {"first layer": {"lr_scale": 3.0}, "biases": {"lr_scale": 0.1, "l2": 0.1}},
    },
    "label smoothing": {"label_smoothing": 0.2},
    "class weights": {"class_weight": (1.0, 2.0, 0.5, 3.0, 0.1)},
    "balanced weights, smoothed": {"class_weight": "balanced", "label_smoothing": 0.1},
    "weights, accumulated": {"class_weight": "balanced", "accumulate": 2},
    "weighted sampling": {"class_weight": (1.0, 2.0, 0.5, 3.0, 0.1), "sampling": "weighted"},
    "mixup": {"mixup": 0.4},
    "mixup, smoothed, weighted": {"mixup": 0.4, "label_smoothing": 0.1, "class_weight": "balanced"},
    "cutmix": {"cutmix": 1.0},
    "mixup and cutmix": {"mixup": 0.4, "cutmix": 1.0},
    "cutout": {"cutout": 3},
    "shift": {"shift": 2},
    "crop": {"crop": 4},
    "flip": {"flip": True},
    "all for images": {
        "crop": 2,
        "flip": True,
        "shift": 1,
        "cutout": 2,
        "mixup": 0.2,
        "cutmix": 1.0,
    },
}
# The more steps, the likelier a weight that changes its sign, and with it that of its L1 penalty, a step apart.
STEPS = {"muon, penalised and averaged": 20}
NETS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "batch norm": {"norm": "batch"},
    "layer norm": {"norm": "layer"},
    "residual": {"residual": True},
    "stochastic depth": {"residual": True, "depth": 0.4},
    "all": {"norm": "batch", "dropout": 0.2, "residual": True, "depth": 0.2},
}


def check(isa, build, recipe, steps=100, **data):
    """Both engines from the same beginning, against float64.

    Where an update turns on the sign of a gradient that is a rounding error (Adam's first steps), or
    a ReLU or a largest number on which of two equal ones is larger, one draw of the data can be far
    off in either engine: then most of five decide.
    """
    found = []
    for seed in range(5):
        own, theirs, scale = errors(isa, build, recipe, steps, seed=seed, **data)
        found.append((own <= 2 * theirs + 8 * np.finfo(np.float32).eps * scale, own, theirs))
        passed = sum(within for within, *_ in found)
        if passed > len(found) - passed:
            return
    pytest.fail(f"too large errors, beside PyTorch's: {found}")


def errors(isa, build, recipe, steps, **data):
    """The largest error of either engine, and the largest parameter.

    Ours is infinite if a loss is not that of float64. What it is held to runs in one thread: threads of OpenMP
    that wait for each other keep the processors from whatever else runs.
    """
    alone = recipe.replace(threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEEPEST_ISA", isa)
        model, state, losses = trained(NativeEngine(), build(), recipe, steps, **data)
    their_model, their_state, _ = trained(TorchEngine(), build(), alone, steps, **data)
    exact_model, exact_state, exact_losses = trained(
        TorchEngine(), build().double(), alone, steps, **data
    )
    ours, theirs = flat(model, state), flat(their_model, their_state)
    exact = flat(exact_model, exact_state)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if not value.is_floating_point():  # how many minibatches batch norm has seen
            assert torch.equal(ours[name], value)
    scale = max(1.0, max(float(p.detach().abs().max()) for p in exact_model.parameters()))
    right = losses == pytest.approx(exact_losses, rel=1e-4, abs=1e-6)
    own = largest_error(ours, exact) if right else np.inf
    return own, largest_error(theirs, exact), scale


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("of_net", NETS)
def test_every_optimizer_on_every_net(isa, optimizer, of_net):
    recipe = Recipe(batch_size=32, seed=3, **OPTIMIZERS[optimizer])
    check(isa, lambda: net(108, 5, **NETS[of_net]), recipe)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", ["floats", "bytes"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting(isa, setting, kind):
    recipe = Recipe(**{"batch_size": 32, "seed": 1, "lr": 0.1, **SETTINGS[setting]})
    check(isa, lambda: net(108, 5), recipe, STEPS.get(setting, 100), kind=kind)


SCHEDULED = {
    "decay": {"weight_decay": 0.1, "weight_decay_schedule": "cosine"},
    "decay of adamw": {
        "optimizer": "adamw",
        "lr": 0.002,
        "weight_decay": 0.5,
        "weight_decay_schedule": "coslog4",
    },
    "decay of muon": {**MUON, "weight_decay": 0.5, "weight_decay_schedule": "flat_cos"},
    "dropout": {"dropout_schedule": "flat_cos"},
    "smoothing": {"label_smoothing": 0.2, "label_smoothing_schedule": "coslog4"},
    "all": {
        "weight_decay": 0.1,
        "label_smoothing": 0.2,
        "accumulate": 3,
        "mixup": 0.2,
        "weight_decay_schedule": "coslog4",
        "dropout_schedule": "coslog4",
        "label_smoothing_schedule": "cosine",
    },
}


@pytest.mark.parametrize("isa", ISAS[-1:])
@pytest.mark.parametrize("setting", SCHEDULED)
def test_every_scheduled_number(isa, setting):
    """To the end of the run's 100 steps and beyond."""
    recipe = Recipe(**{"batch_size": 32, "seed": 1, "lr": 0.05, "epochs": 18, **SCHEDULED[setting]})
    check(isa, lambda: net(108, 5, dropout=0.3), recipe)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
@pytest.mark.parametrize(
    "setting",
    [
        {"label_smoothing": 0.1},
        {"label_smoothing": 0.1, "accumulate": 3},
        {"mixup": 0.4, "label_smoothing": 0.1, "accumulate": 2},
        {"mixup": 0.4, "cutmix": 1.0},
        {"sampling": "weighted"},
    ],
    ids=str,
)
def test_classes_of_weight_0(setting, batch_size):
    recipe = Recipe(
        batch_size=batch_size, lr=0.1, class_weight=(0.0, 2.0, 0.0, 1.0, 0.0), **setting
    )
    own, theirs, scale = errors(ISAS[-1], lambda: net(108, 5), recipe, 30)
    assert own <= 2 * theirs + 8 * np.finfo(np.float32).eps * scale


@pytest.mark.parametrize("setting", [{"label_smoothing": 0.1}, {"pos_weight": 3.0}], ids=str)
def test_the_first_of_two_classes_weighs_0(setting):
    recipe = Recipe(batch_size=2, lr=0.1, class_weight=(0.0, 2.0), **setting)
    own, theirs, scale = errors(ISAS[-1], lambda: net(108, 1), recipe, 30, outputs=1)
    assert own <= 2 * theirs + 8 * np.finfo(np.float32).eps * scale
