"""LinearLayer has the lecture's six initialisations and LeCun's, and mlp() builds from it."""

import pytest
import torch
from torch import nn

from steepest import LinearLayer, ParametricActivation, ScalingLayer, mlp
from steepest.errors import ModelError
from steepest.nn import build, describe
from steepest.nn.linear import INITIALISERS
from steepest.recipe import SETTINGS

FAN_IN, FAN_OUT = 400, 300


@pytest.mark.parametrize(
    ("init", "mean", "variance"),
    [
        ("xavier", 0, 2 / (FAN_IN + FAN_OUT)),
        ("he", 0, 2 / FAN_IN),
        ("lecun", 0, 1 / FAN_IN),
        ("normal", 0, 1),
        ("uniform", 0, 1 / 3),
        ("zeros", 0, 0),
        ("ones", 1, 0),
    ],
)
def test_each_scheme_has_its_mean_and_variance(init, mean, variance):
    torch.manual_seed(0)
    layer = LinearLayer(FAN_IN, FAN_OUT, init)
    assert layer.weight.shape == (FAN_OUT, FAN_IN)
    assert layer.weight.mean().item() == pytest.approx(mean, abs=5 * (variance / 120_000) ** 0.5)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.02)
    assert torch.equal(layer.bias, torch.zeros(FAN_OUT))


def test_uniform_stays_within_its_bounds():
    weight = LinearLayer(FAN_IN, FAN_OUT, "uniform").weight
    assert weight.min() >= -1
    assert weight.max() < 1
    assert weight.max() - weight.min() > 1.99


def test_it_draws_from_torchs_generator_as_in_the_lecture():
    torch.manual_seed(3)
    layer = LinearLayer(5, 7)
    torch.manual_seed(3)
    expected = torch.randn(7, 5) * torch.sqrt(torch.tensor(2 / 12))
    assert torch.allclose(layer.weight, expected, rtol=1e-6)


def test_it_computes_what_torch_linear_computes():
    layer, x = LinearLayer(5, 7, "he"), torch.randn(4, 5)
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


def test_an_unknown_scheme_is_refused_with_the_nearest():
    with pytest.raises(ModelError) as error:
        LinearLayer(2, 2, "xavir")
    assert str(error.value) == "unknown initialisation 'xavir'; did you mean 'xavier'?"


def test_the_lectures_net_has_its_shapes():
    shapes = [tuple(p.shape) for p in mlp(28 * 28, [100], 10, activation="tanh").parameters()]
    assert shapes == [(100, 784), (100,), (10, 100), (10,)]


def test_the_same_seed_gives_the_same_net_and_leaves_torchs_generator_alone():
    before = torch.get_rng_state()
    first, second, other = (mlp(4, [8], 3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[1].weight, second[1].weight)
    assert not torch.equal(first[1].weight, other[1].weight)


def test_rectifiers_start_with_he_and_the_others_with_xavier():
    assert mlp(4, [8], 3, activation="relu")[1].init == "he"
    assert mlp(4, [8], 3, activation="mish")[1].init == "he"
    assert mlp(4, [8], 3, activation="tanh")[1].init == "xavier"
    assert mlp(4, [8], 3, activation="selu")[1].init == "lecun"


def test_a_deep_selu_net_keeps_mean_0_and_variance_1():
    x = torch.randn(500, 200, generator=torch.Generator().manual_seed(0))
    net = mlp(200, [200] * 12, 3, activation="selu", seed=0)
    with torch.no_grad():
        for layer in net[:-1]:
            x = layer(x)
            if isinstance(layer, nn.SELU):
                assert abs(float(x.mean())) < 0.1
                assert 0.8 < float(x.std()) < 1.25


SOME_MODELS = [
    mlp(4, [8, 5], 3),
    nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), nn.GELU("tanh"), nn.Dropout(0.3)),
    nn.Sequential(ScalingLayer(4), nn.Linear(4, 3), ParametricActivation("mish", 3)),
    nn.Sequential(nn.Sequential(nn.LayerNorm([3, 4]), nn.PReLU(3)), nn.LeakyReLU(0.2)),
]


@pytest.mark.parametrize("model", SOME_MODELS, ids=repr)
def test_an_architecture_is_the_same_after_description(model):
    again = build(describe(model))
    assert repr(again) == repr(model)
    assert {n: p.shape for n, p in again.state_dict().items()} == {
        n: p.shape for n, p in model.state_dict().items()
    }


def test_a_module_used_twice_is_described_twice():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu)
    assert repr(build(describe(model))) == repr(model)


def test_a_class_of_the_users_own_is_not_described():
    class Mine(nn.Linear):
        pass

    assert describe(nn.Sequential(Mine(2, 2))) is None


def test_a_hooked_module_is_not_described():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_hook(lambda *_: None)
    assert describe(model) is None


@pytest.mark.parametrize(
    "description",
    [
        {"type": "os.system", "settings": {}},
        {"type": "Linear"},
        {"type": "Linear", "settings": {"in_features": 2}},
        {"type": "Linear", "settings": {"cmd": "x"}},
        {"type": "Sequential", "children": {"0": 3}},
        *(
            {"type": "Sequential", "children": {name: {"type": "Tanh", "settings": {}}}}
            for name in ("", "a.b", "forward")
        ),
        [],
    ],
)
def test_a_foreign_or_malformed_description_is_refused(description):
    with pytest.raises(ModelError, match="saved architecture"):
        build(description)


def test_a_recipe_names_the_initialisations_that_there_are():
    assert SETTINGS["init"].values.names == ("auto", *INITIALISERS)
