"""Modules with a forward of somebody's own: the same numbers on both engines, or a reason."""

import random
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import steepest as sp
from parity.test_toolbox import ISAS, check, make_plan, native, parameters_after
from steepest import Recipe
from steepest.engine import TorchEngine
from steepest.engine.choose import choose
from steepest.engine.native import NativeEngine, native_obstacle

pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built here")


class Functions(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.out = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.drop(torch.tanh(self.fc2(x))) + x
        return self.out(self.drop(x))


class Lists(nn.Module):
    """Looks at its children, whose number is in a setting."""

    def __init__(self, widths=(8, 12, 12, 3)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.norms = nn.ModuleDict({"0": nn.BatchNorm1d(12), "1": nn.LayerNorm(12)})
        self.negative_slope = 0.1

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if isinstance(layer, nn.Linear) and i + 1 < len(self.layers):
                x = F.leaky_relu(self.norms[str(i)](x), self.negative_slope)
        return x


class TwoWays(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 5), nn.Linear(8, 5)
        self.c, self.d, self.e = nn.Linear(5, 3), nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.relu(self.a(x)) + self.b(x)
        return (self.c(h) + self.d(F.gelu(h))) + self.e(F.silu(h))


class LeNet(nn.Module):
    """As the tutorials write it."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 16, 2)
        self.fc1, self.fc2 = nn.Linear(16 * 1 * 1, 20), nn.Linear(20, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.avg_pool2d(self.conv2(x).relu(), 2)
        x = x.view(-1, self.num_flat_features(x))
        return self.fc2(F.relu(self.fc1(x)))

    def num_flat_features(self, x):
        size = x.size()[1:]
        number = 1
        for side in size:
            number *= side
        return number


class Block(nn.Module):
    """torchvision's BasicBlock."""

    def __init__(self, channels, out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.layer1 = nn.Sequential(Block(width, width), Block(width, width))
        self.layer2 = nn.Sequential(Block(width, 2 * width, 2), Block(2 * width, 2 * width))
        self.fc = nn.Linear(2 * width, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class MeanOfPixels(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(F.mish(self.conv(x)).mean(dim=(-2, -1)))


class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return torch.sigmoid(self.fc(x))


NETS = {
    "functions": (Functions, (8,)),
    "lists": (Lists, (8,)),
    "two ways": (TwoWays, (8,)),
    "in Sequential": (lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), Functions()), (8,)),
    "in place before": (lambda: Own(lambda s, x: s.b(s.relu(x) + s.a(x))), (8,)),
    "in Residual": (lambda: nn.Sequential(sp.Residual(Narrow(), 0.3), nn.Linear(8, 3)), (8,)),
    "LeNet": (LeNet, (1, 8, 8)),
    "ResNet": (ResNet, (1, 8, 8)),
    "mean of pixels": (MeanOfPixels, (1, 8, 8)),
}
RECIPE = Recipe(batch_size=32, seed=3, lr=0.05, momentum=0.5)


def of(name):
    """The maker of a net, each call with the same numbers, and what its data are."""
    make, shape = NETS[name]

    def build():
        torch.manual_seed(0)
        return make()

    return build, {"rows": 90, "shape": shape, "outputs": 3}


# In a hundred steps of a net of so many ReLU one of them falls the other way by rounding, in torch as here.
STEPS = {"ResNet": 20}


@pytest.mark.parametrize("name", NETS)
def test_it_computes_what_pytorch_computes(name):
    build, data = of(name)
    check(ISAS[-1], build, RECIPE, STEPS.get(name, 100), **data)


@pytest.mark.parametrize("isa", ISAS[:-1])
@pytest.mark.parametrize("name", ["two ways", "ResNet"])
def test_shortcuts_compute_it_with_every_instruction_set(isa, name):
    build, data = of(name)
    check(isa, build, RECIPE, STEPS.get(name, 100), **data)


@pytest.mark.parametrize("name", ["two ways", "ResNet"])
def test_the_number_of_threads_and_of_calls_changes_no_bit(name):
    build, data = of(name)
    found = [
        parameters_after(build(), Recipe(batch_size=31, threads=threads), calls, **data)
        for threads, calls in ((1, [6]), (2, [6]), (3, [1] * 6))
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", NETS)
def test_layer_statistics_are_those_of_the_torch_engine(name):
    build, data = of(name)
    layers = []
    for engine in (NativeEngine(), TorchEngine()):
        engine.load(make_plan(build(), Recipe(batch_size=32), **data))
        layers.append(engine.advance([0.1] * 3, statistics=True).layers)
    assert [layer.name for layer in layers[0]] == [layer.name for layer in layers[1]]
    for ours, theirs in zip(*layers, strict=True):
        for field in ("activation_mean", "activation_std", "inactive", "update_ratio"):
            found, expected = getattr(ours, field), getattr(theirs, field)
            assert found == pytest.approx(expected, rel=2e-3, abs=1e-5), (ours.name, field)


@pytest.mark.parametrize("name", ["functions", "ResNet"])
def test_the_module_is_not_run_and_not_changed(name):
    build, data = of(name)
    model = build()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    attributes = {m: dict(vars(m)) for m in model.modules()}
    assert native_obstacle(make_plan(model, RECIPE, **data)) is None
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    for module, own in attributes.items():
        assert vars(module).keys() == own.keys()
        assert all(vars(module)[key] is value for key, value in own.items())


class Own(nn.Module):
    """Two layers, and a forward that a test gives."""

    def __init__(self, forward):
        super().__init__()
        self.a, self.b, self.drop = nn.Linear(8, 8), nn.Linear(8, 3), nn.Dropout(0.5)
        self.relu = nn.ReLU(inplace=True)
        self.calls = 0
        self.seen = []
        self.body = forward

    def forward(self, x):
        return self.body(self, x)


def keeps(self, x):
    self.calls += 1
    return self.b(self.a(x))


def gathers(self, x):
    self.seen.append(len(x))
    return self.b(self.a(x))


def by_mode(self, x):
    return self.b(self.a(x).relu() if self.training else self.a(x))


def by_rows(self, x):
    return self.b(self.a(x).relu() if len(x) > 3 else self.a(x))


def by_numbers(self, x):
    return self.b(self.a(x) if x.mean() > 0 else self.a(x).relu())


def by_chance(self, x):
    return self.b(self.a(x) if random.random() > 2 else self.a(x).relu())


def without_gradient(self, x):
    with torch.no_grad():
        x = self.a(x)
    return self.b(x)


def written_into(self, x):
    x = self.a(x)
    x[:, 0] = 0
    return self.b(x)


def view_written_into(self, x):
    x = self.a(x)
    x.view(-1).relu_()
    return self.b(x)


def without_b(self, x):
    return self.a(x)[:, :3]


DECLINED = {
    keeps: "has a forward that sets calls",
    gathers: "has a forward that sets seen",
    by_mode: "has a forward that does other things in training, or with more rows",
    by_rows: "has a forward that does other things in training, or with more rows",
    by_numbers: "has a forward that asks for numbers",
    by_chance: "has a forward that draws random numbers",
    without_gradient: "has a forward that turns gradients off",
    written_into: "has a forward that calls __setitem__",
    view_written_into: "has a forward that does not use what view gives",
    without_b: "has a forward that calls __getitem__",
    lambda s, x: s.b(torch.cat([s.a(x), x], 1)[:, :8]): "has a forward that calls __getitem__",
    lambda s, x: s.b(s.a(x) * 2): "has a forward that calls mul",
    lambda s, x: s.b(s.a(x).detach()): "has a forward that calls detach",
    lambda s, x: s.b(F.dropout(s.a(x), 0.5, s.training)): "has a forward that calls dropout",
    lambda s, x: s.b(F.linear(x, s.a.weight)): "has a forward that calls linear",
    lambda s, x: s.b(s.a(x) + torch.rand(8)): "has a forward that asks for numbers",
    lambda s, x: s.b(s.a(x).view(-1, 4).view(-1, 8)): "has a forward that calls view",
    lambda s, x: s.b(s.drop(x) + s.drop(s.a(x))): "has a forward with one Dropout on both sides",
    lambda s, x: s.b(s.a(x) + s.relu(x)): "changes in place what a residual block adds to",
    lambda s, x: (s.b(s.a(x)), x): "does not give one tensor made of its input",
    lambda s, x: s.b(s.a(s.a(x))): "share memory",
    lambda s, x: s.b(x): "the parameter 'a.weight' takes no part in the forward pass",
}


@pytest.mark.parametrize("forward", DECLINED)
def test_what_else_a_forward_does_is_declined_in_a_line(forward):
    data = {"rows": 90, "shape": (8,), "outputs": 3}
    found = native_obstacle(make_plan(Own(forward), RECIPE, **data))
    assert found is not None
    assert DECLINED[forward] in found
    assert "\n" not in found


def test_a_block_that_begins_in_place_is_declined():
    """PyTorch adds to what the activation has changed, and the engine would to what it was."""
    block = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 8))
    model = nn.Sequential(nn.Linear(8, 8), sp.Residual(block), nn.Linear(8, 3))
    found = native_obstacle(make_plan(model, RECIPE, rows=90, shape=(8,), outputs=3))
    assert found == ("module '1.block.0' (ReLU) changes in place what a residual block adds to")


def test_states_that_a_forward_may_change_are_not_run():
    model = Own(lambda s, x: s.b(s.a(x)))
    model.meter = random.Random(0)
    found = native_obstacle(make_plan(model, RECIPE, rows=90, shape=(8,), outputs=3))
    assert "keeps a Random in meter" in found


@pytest.mark.parametrize(("channels", "engine"), [(32, "native"), (192, "torch")])
def test_the_engine_is_chosen_by_the_size_of_the_filters(channels, engine):
    def build():
        convolution = nn.Conv2d(channels, channels, 3, padding=1)
        return nn.Sequential(nn.Conv2d(1, channels, 3), convolution, nn.Flatten(), Last(channels))

    plan = make_plan(build(), Recipe(batch_size=32), rows=90, shape=(1, 6, 6), outputs=3)
    choice = choose(plan)
    assert choice.engine.name == engine
    if engine == "torch":
        assert "in convolutions of more than 262,144 numbers" in choice.reason


class Last(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Linear(channels * 16, 3)

    def forward(self, x):
        return self.fc(x)
