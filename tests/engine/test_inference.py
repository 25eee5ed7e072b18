"""Outputs by the native kernels are torch's but for rounding, and each row's are its own."""

import numpy as np
import pytest
import torch
from torch import nn

from steepest import CategoryEmbedding, PeriodicEmbedding
from steepest.data import Inputs, Scaler
from steepest.engine import forward
from steepest.engine.inference import native_outputs
from steepest.extension import extension
from steepest.nn import Ensemble, Residual, ScalingLayer, mlp

pytestmark = pytest.mark.skipif(extension() is None, reason="the native engine was not built")


def net(inputs=37, classes=3):
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(40, 40), nn.GELU(), nn.LayerNorm(40))
    norm = nn.BatchNorm1d(40)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return nn.Sequential(
        *(nn.Flatten(), ScalingLayer(inputs), nn.Linear(inputs, 40), norm, nn.SiLU()),
        *(nn.Dropout(0.5), Residual(block, 0.5), nn.PReLU(), nn.Linear(40, classes)),
    )


def rows(count, kind=np.float32, shape=(37,), seed=0):
    x = np.random.default_rng(seed).normal(size=(count, *shape))
    return (np.abs(x) * 50).astype(kind) if kind is np.uint8 else x.astype(kind)


def by_torch(model, x):
    model.eval()
    with torch.no_grad():
        return model(torch.from_numpy(np.ascontiguousarray(x)))


def close(found, expected):
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-6, atol=2e-6)


def test_embeddings_are_among_them():
    torch.manual_seed(0)
    categories = CategoryEmbedding(37, [(3, 12), (20, 21)], 5)
    periodic = PeriodicEmbedding(categories.width, range(4, 25), sigma=0.5)
    model = nn.Sequential(categories, periodic, nn.Linear(periodic.width, 3))
    x = rows(200)
    close(native_outputs(model, Inputs(x, None, Scaler())), by_torch(model, x))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("count", [1, 129])
def test_members_that_share_a_net_give_their_mean(outputs, count):
    model, x = mlp(37, (20, 8), outputs, batch_ensemble=5, activation="mish", seed=0), rows(count)
    found = native_outputs(model, Inputs(x, None, Scaler()))
    assert found.shape == (count, outputs)
    close(found, by_torch(model, x))
    both = Ensemble([model, mlp(37, (4,), outputs)], [(0, 37), (0, 37)], "softmax")
    close(native_outputs(both, Inputs(x, None, Scaler())), by_torch(both, x))


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 700])
def test_they_are_those_of_torch_in_evaluation_mode(count):
    model, x = net(), rows(count)
    model.train()
    found = native_outputs(model, Inputs(x, None, Scaler()))
    assert found is not None
    assert found.shape == (count, 3)
    assert model.training
    assert not found.requires_grad
    close(found, by_torch(model, x))


def test_some_rows_of_scaled_bytes_with_two_dimensions():
    model, x = net(36), rows(300, np.uint8, (6, 6))
    some = np.array([7, 1, 299, 1])
    scaler = Scaler.fit("pixels", x)
    found = native_outputs(model, Inputs(x, some, scaler))
    close(found, by_torch(model, (x[some] / np.float32(255)).astype(np.float32)))


def test_the_members_of_an_ensemble_take_their_columns():
    model = Ensemble([net(20), mlp(17, (8,), 3)], [(0, 20), (20, 37)], weights=[0.25, 0.75])
    x = rows(150)
    close(native_outputs(model, Inputs(x, None, Scaler())), by_torch(model, x))


def test_a_row_gives_the_same_bits_whatever_is_beside_it(monkeypatch):
    model, x = net(), rows(1000)
    whole = native_outputs(model, Inputs(x, None, Scaler()))
    order = np.random.default_rng(1).permutation(1000)[:333]
    assert torch.equal(native_outputs(model, Inputs(x, order, Scaler())), whole[order])
    for i in (0, 640, 999):
        assert torch.equal(native_outputs(model, Inputs(x[i : i + 1], None, Scaler()))[0], whole[i])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert torch.equal(native_outputs(model, Inputs(x, None, Scaler())), whole)


def test_frozen_and_shared_parameters_are_no_obstacle():
    layer = nn.Linear(37, 37)
    layer.requires_grad_(False)
    model, x = nn.Sequential(layer, nn.Tanh(), layer), rows(5)
    close(native_outputs(model, Inputs(x, None, Scaler())), by_torch(model, x))


@pytest.mark.parametrize("kind", ["hook", "double", "foreign", "last dimension"])
def test_what_it_cannot_run_goes_to_torch(kind):
    model, x = net(), rows(9)
    if kind == "hook":
        model[1].register_forward_hook(lambda module, args, output: output + 1)
    elif kind == "double":
        model, x = model.double(), rows(9, np.float64)
    elif kind == "foreign":
        model[4] = nn.Softplus()
    else:
        model, x = nn.Linear(37, 2), rows(9, shape=(1, 37))
    inputs = Inputs(x, None, Scaler())
    assert native_outputs(model, inputs) is None
    close(forward(model, inputs), by_torch(model, x))
