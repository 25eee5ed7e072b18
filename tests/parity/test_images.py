"""Convolutional nets on both engines: against PyTorch and float64, over shapes, threads and calls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from parity.test_toolbox import ISAS, OPTIMIZERS, check, make_plan, native
from steepest import Recipe, Residual
from steepest.engine import TorchEngine
from steepest.engine.inference import native_outputs
from steepest.engine.masks import Masks
from steepest.engine.native import NativeEngine, native_obstacle

pytestmark = [
    pytest.mark.skipif(native is None, reason="the native engine is not built here"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
]

MOMENTUM = Recipe(batch_size=32, seed=3, lr=0.02, momentum=0.5)


NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)


def group_norm(*args, **settings):
    return lambda: nn.GroupNorm(*args, **settings)


def net(shape, *layers, outputs=5):
    """A maker of a net, always with the same weights, that ends in a linear layer."""

    def build():
        torch.manual_seed(0)
        front = nn.Sequential(*(layer() for layer in layers), nn.Flatten())
        front.eval()
        width = front(torch.zeros(2, *shape)).shape[1]
        model = nn.Sequential(*front, nn.Linear(width, outputs))
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, NORMS) and module.affine:
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_()
        return model.train()

    return build


def conv(*args, **settings):
    return lambda: nn.Conv2d(*args, **settings)


def block():
    inner = (nn.Conv2d(12, 12, 3, padding=1, groups=3), nn.BatchNorm2d(12), nn.SiLU())
    return Residual(nn.Sequential(*inner), 0.3)


NETS = {
    "lenet": (
        (1, 14, 14),
        *(conv(1, 6, 3), nn.ReLU, lambda: nn.MaxPool2d(2), conv(6, 16, 3), nn.Tanh),
        *(lambda: nn.MaxPool2d(2), nn.Flatten, lambda: nn.Linear(64, 20), nn.ReLU),
    ),
    "strides": (
        (3, 17, 13),
        *(conv(3, 7, 3, stride=2, padding=1), nn.GELU),
        *(conv(7, 5, (2, 3), stride=(3, 1), padding=(1, 2), dilation=(1, 2), bias=False), nn.SELU),
    ),
    "stride beyond the window": ((2, 11, 9), conv(2, 9, 2, stride=3), nn.Sigmoid, conv(9, 3, 1, 2)),
    "wide padding": (
        (1, 5, 6),
        conv(1, 4, 3, padding=2),
        nn.ReLU,
        conv(4, 70, (4, 1), padding="same"),
    ),
    "channels": ((70, 4, 3), conv(70, 33, 3, padding=1), nn.Mish, conv(33, 1, 1)),
    "depthwise": (
        (4, 9, 9),
        conv(4, 8, 3, groups=4, padding="same"),
        nn.SiLU,
        conv(8, 6, 1, groups=2),
    ),
    "pools": (
        (2, 13, 12),
        *(
            lambda: nn.AvgPool2d(3, 2, 1),
            conv(2, 6, 3),
            nn.LeakyReLU,
            lambda: nn.MaxPool2d(3, 1, 1),
        ),
        *(lambda: nn.AvgPool2d(2, 2, 1, count_include_pad=False), conv(6, 5, 1)),
        *(lambda: nn.MaxPool2d(2, 3), lambda: nn.AdaptiveAvgPool2d((2, None)), nn.Tanh),
    ),
    "batch norm": (
        (3, 9, 11),
        *(conv(3, 20, 3, padding=1, bias=False), lambda: nn.BatchNorm2d(20), nn.ReLU),
        *(lambda: nn.MaxPool2d(3, 2, 1), lambda: nn.BatchNorm2d(20, affine=False)),
        *(conv(20, 8, 3), nn.ReLU, lambda: nn.AdaptiveAvgPool2d(1)),
    ),
    "norm first and last": (
        *((2, 6, 7), lambda: nn.BatchNorm2d(2), conv(2, 9, 3), lambda: nn.BatchNorm2d(9)),
    ),
    "blocks": (
        (3, 8, 8),
        *(conv(3, 12, 3, padding=1), block, nn.ReLU, lambda: Residual(nn.Sequential(block()))),
        *(lambda: nn.AvgPool2d(2), lambda: nn.Dropout(0.2)),
    ),
    "channels dropped": (
        (3, 8, 9),
        *(conv(3, 10, 3), lambda: nn.Dropout2d(0.3), nn.ReLU, lambda: nn.MaxPool2d(2)),
        *(conv(10, 70, 2), lambda: nn.Dropout2d(0.5, inplace=True), nn.Flatten),
        *(lambda: nn.Linear(280, 9), lambda: nn.Dropout(0.1)),
    ),
    "group norm": (
        (3, 9, 11),
        *(conv(3, 20, 3, padding=1), group_norm(5, 20), nn.ReLU, lambda: nn.MaxPool2d(2)),
        *(conv(20, 9, 3), group_norm(1, 9, affine=False), nn.SiLU, conv(9, 6, 1)),
        *(group_norm(6, 6), nn.Flatten, lambda: nn.Linear(36, 21), group_norm(3, 21), nn.Tanh),
    ),
    "group norm first": (
        *((4, 6, 7), group_norm(2, 4), conv(4, 9, 2), lambda: nn.InstanceNorm2d(9, eps=0.0)),
        *(conv(9, 8, 3), nn.GELU, lambda: nn.InstanceNorm2d(8, affine=True)),
    ),
    "norm without factors first": (
        *((3, 6, 5), lambda: nn.BatchNorm2d(3, affine=False), group_norm(1, 3, affine=False)),
        conv(3, 7, 2),
    ),
    "rows in groups": (
        *((2, 6), group_norm(2, 2, affine=False), nn.Flatten, lambda: nn.Linear(12, 40)),
        *(group_norm(4, 40), lambda: Residual(nn.Sequential(nn.GroupNorm(8, 40), nn.Tanh()), 0.3)),
    ),
    "no filters": ((3, 6, 6), lambda: nn.MaxPool2d(2), lambda: nn.Dropout2d(0.3)),
    "margins": (
        (3, 7, 6),
        *(conv(3, 8, 3, padding=(2, 1), padding_mode="reflect", stride=2), nn.ReLU),
        *(conv(8, 6, (2, 4), padding="same", padding_mode="replicate"), nn.Tanh),
        conv(6, 5, 3, padding=(1, 3), padding_mode="circular", groups=1, dilation=2),
    ),
    "margins beyond the window": (
        *((2, 6, 5), conv(2, 4, 3, padding=4, stride=3), nn.GELU, conv(4, 3, 1, padding=1)),
    ),
    "padded": (
        *((2, 6, 5), lambda: nn.ReflectionPad2d((1, 0, 2, 3)), conv(2, 6, 3), nn.ReLU),
        *(lambda: nn.ZeroPad2d((1, -1, 0, 2)), lambda: nn.ReplicationPad2d((3, 1, -1, 0))),
        *(conv(6, 4, 2), nn.Tanh, lambda: nn.CircularPad2d((0, 6, 4, 1)), lambda: nn.MaxPool2d(3)),
    ),
    "windows rounded up": (
        (2, 14, 11),
        *(lambda: nn.MaxPool2d(3, 2, ceil_mode=True), conv(2, 6, 2), nn.Tanh),
        *(
            lambda: nn.AvgPool2d((2, 3), 3, 1, ceil_mode=True, count_include_pad=False),
            conv(6, 5, 1),
        ),
        lambda: nn.MaxPool2d(2, 2, 1, ceil_mode=True),
    ),
    "images again": (
        *((12,), lambda: nn.Unflatten(1, (3, 2, -1)), conv(3, 6, 2), nn.ReLU, nn.Flatten),
        *(lambda: nn.Linear(6, 18), nn.Tanh, lambda: nn.Unflatten(1, (2, 3, 3)), conv(2, 4, 2)),
    ),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("of_net", NETS)
def test_it_computes_what_pytorch_computes(isa, of_net):
    shape, *layers = NETS[of_net]
    kind = "bytes" if of_net in ("lenet", "strides", "blocks") else "floats"
    check(isa, net(shape, *layers), MOMENTUM, 20, shape=shape, kind=kind, rows=90)


@pytest.mark.parametrize("isa", ISAS[-1:])
@pytest.mark.parametrize("batch_size", [1, 7, 64, "full"])
def test_minibatches_of_any_size(isa, batch_size):
    shape, *layers = NETS["lenet"]
    recipe = replace(MOMENTUM, batch_size=batch_size)
    check(isa, net(shape, *layers), recipe, 20, shape=shape, rows=71)


# As for two of OPTIMIZERS: the gradient of a shift before a batch norm is nothing but rounding.
ADAPTIVE = {"adam", "adamw", "rmsprop"}
SETTINGS = {
    name: setting | ({"eps": 1e-3} if name in ADAPTIVE else {})
    for name, setting in OPTIMIZERS.items()
} | {
    "penalties and groups": {
        "lr": 0.02,
        "l1": 1e-3,
        "groups": {"0.*": {"lr_scale": 0.1, "l2": 0.1}},
    },
    "clipped and averaged": {"lr": 0.05, "clip_norm": 0.5, "ema": 0.9},
    "accumulated": {"lr": 0.05, "accumulate": 3, "clip_value": 0.1},
    "augmented": {"lr": 0.02, "shift": 1, "cutout": 2, "mixup": 0.2, "cutmix": 1.0},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_optimizer(setting):
    shape, *layers = NETS["batch norm"]
    layers = [*layers, nn.Flatten, lambda: nn.Linear(8, 12), nn.Tanh, lambda: nn.Linear(12, 12)]
    recipe = Recipe(batch_size=32, seed=3, **SETTINGS[setting])
    check(ISAS[-1], net(shape, *layers), recipe, 20, shape=shape, rows=90)


def trained(build, recipe, calls, shape, engine=NativeEngine, rows=150):
    """The bits of all that is learned after 12 steps in so many calls, each by an engine of its own."""
    model, state, steps = build(), None, 12 // calls
    for call in range(calls):
        plan = make_plan(model, recipe, shape=shape, rows=rows)
        assert native_obstacle(plan) is None
        one = engine()
        one.load(plan, state, call * steps)
        one.advance([recipe.base_lr] * steps)
        state = one.export()
    kept = [t for values in state.values() for t in values.values()]
    return b"".join(t.detach().numpy().tobytes() for t in [*model.state_dict().values(), *kept])


@pytest.mark.parametrize(
    "of_net",
    ["lenet", "blocks", "channels dropped", "no filters", "group norm", "rows in groups", "padded"],
)
@pytest.mark.parametrize("batch_size", [9, 64])
def test_no_bit_depends_on_threads_or_calls(of_net, batch_size):
    shape, *layers = NETS[of_net]
    recipe = replace(MOMENTUM, batch_size=batch_size, optimizer="adam", momentum=0.0, lr=1e-3)
    bits = {
        trained(net(shape, *layers), replace(recipe, threads=threads), calls, shape)
        for threads in (1, 2, 3, 8)
        for calls in (1, 3)
    }
    assert len(bits) == 1


def test_whole_channels_are_dropped_in_their_share_and_by_the_schedule():
    x, drop = torch.ones(400, 10, 3, 2), nn.Dropout2d(0.4)
    masks = Masks(nn.Sequential(drop), seed=5)
    shares = []
    for factor in (1.0, 0.25):
        masks.begin(7, factor)
        with masks.installed():
            y = drop(x)
        of_channel = y[:, :, 0, 0]
        assert torch.equal(y, of_channel[:, :, None, None].expand_as(y))
        assert of_channel.unique().tolist() == pytest.approx([0, 1 / (1 - 0.4 * factor)])
        shares.append((of_channel == 0).float().mean().item())
    assert shares == pytest.approx([0.4, 0.1], abs=0.02)
    shape, *layers = NETS["channels dropped"]
    scheduled = replace(MOMENTUM, dropout_schedule="cosine", epochs=4)
    check(ISAS[-1], net(shape, *layers), scheduled, 8, shape=shape, rows=70)


@pytest.mark.parametrize(
    "of_net",
    ["pools", "batch norm", "blocks", "channels dropped", "group norm", "rows in groups", "padded"],
)
def test_outputs_are_those_of_pytorch_and_of_each_row_alone(of_net):
    shape, *layers = NETS[of_net]
    model = net(shape, *layers)()
    plan = make_plan(model, MOMENTUM, shape=shape, rows=150)
    TorchEngine().load(plan)
    model.eval()
    whole = native_outputs(model, plan.inputs)
    with torch.no_grad():
        exact = model.double()(torch.from_numpy(plan.inputs.block(0, 150)).double())
    assert float((whole.double() - exact).abs().max()) < 1e-5
    some = native_outputs(model.float(), replace(plan.inputs, rows=np.array([149, 3])))
    assert torch.equal(some, whole[[149, 3]])


def test_statistics_are_those_of_the_torch_engine():
    shape, *layers = NETS["lenet"]
    found = []
    for engine in (NativeEngine(), TorchEngine()):
        engine.load(make_plan(net(shape, *layers)(), MOMENTUM, shape=shape))
        found.append(engine.advance([0.02] * 5, statistics=True).layers)
    ours, theirs = found
    assert [layer.name for layer in ours] == [layer.name for layer in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        for name, value in vars(other).items():
            assert name == "name" or vars(mine)[name] == pytest.approx(value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([lambda: nn.ConstantPad2d(1, 0.5)], "not among the modules"),
        ([lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True)], "reach over it (ceil_mode)"),
        ([lambda: nn.Dropout2d(1.0)], "drops everything"),
        ([conv(3, 4, 3), lambda: nn.MaxPool2d(2, dilation=2)], "a dilation"),
        ([conv(3, 4, 3), lambda: nn.Linear(6, 6)], "no Flatten"),
        ([conv(3, 4, 3), nn.Flatten, group_norm(144, 144)], "one number by itself"),
        ([lambda: nn.InstanceNorm2d(3, track_running_stats=True)], "keeps running statistics"),
        ([conv(3, 4, 3), lambda: nn.LocalResponseNorm(2)], "not among the modules"),
        ([conv(3, 4, 3), lambda: nn.BatchNorm2d(4, momentum=None)], "plain mean"),
    ],
)
def test_what_it_does_not_run_it_declines_in_a_line(layers, reason):
    plan = make_plan(net((3, 8, 8), *layers)(), MOMENTUM, shape=(3, 8, 8))
    assert reason in native_obstacle(plan)
