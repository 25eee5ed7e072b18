"""A last minibatch of one row, of which normalisation has no spread."""

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import ModelError, RecipeError

ENGINES = ["native", "torch"]


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    y = np.arange(33) % 3
    return (rng.normal(size=(33, 4, 1, 1)) + y[:, None, None, None]).astype(np.float32), y


def net(norm, side=1):
    return nn.Sequential(
        nn.Conv2d(4, 6, 1), norm, nn.ReLU(), nn.Flatten(), nn.Linear(6 * side**2, 3)
    )


def train(model, data, **settings):
    settings = {"batch_size": 16, "validation": 0.0, "epochs": 2, "progress": "none", **settings}
    return sp.train(model, data, **settings)


@pytest.mark.parametrize("engine", ENGINES)
def test_batch_norm_counts_the_minibatches_that_moved_its_statistics(pixels, engine):
    """PyTorch refuses one row in training, and in evaluation counts nothing."""
    X, y = pixels
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    run = train(model, (X[:, :, 0, 0], y), engine=engine, epochs=3)
    assert run.info["engine"] == engine
    assert int(model[1].num_batches_tracked) == 3 * 2  # of 3 in an epoch


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(6), nn.SyncBatchNorm(6), nn.LazyBatchNorm2d(), nn.BatchNorm2d(6, momentum=None)]
)  # fmt: skip
def test_batch_norm_of_one_pixel_of_one_row_uses_its_running_statistics(pixels, norm):
    model = net(norm)
    run = train(model, pixels)
    assert run.status == "finished"
    assert int(model[1].num_batches_tracked) == 2 * 2
    assert model[1].training
    assert not model[1]._forward_hooks
    assert bool(torch.isfinite(model[1].running_var).all())


@pytest.mark.parametrize(("shape", "norm"), [((2, 2), nn.BatchNorm2d), ((3,), nn.BatchNorm1d)])
def test_one_row_of_several_pixels_has_a_spread(shape, norm):
    """As in PyTorch, also with minibatches of one row throughout."""
    rng = np.random.default_rng(0)
    y = np.arange(9) % 2
    X = (rng.normal(size=(9, 4, *shape)) + y.reshape(9, 1, *[1] * len(shape))).astype(np.float32)
    model = nn.Sequential(norm(4), nn.Flatten(), nn.Linear(4 * int(np.prod(shape)), 2))
    train(model, (X, y), batch_size=1, epochs=1, scaling="none", check=False)
    assert int(model[0].num_batches_tracked) == 9


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(6), nn.LazyBatchNorm2d()])
def test_minibatches_of_one_row_throughout_are_refused(pixels, norm):
    model = net(norm)
    with pytest.raises(RecipeError) as error:
        train(model, pixels, batch_size=1)
    assert str(error.value) == (
        "batch_size is 1, and module '1' (BatchNorm2d) needs the spread of several rows: take a "
        "larger batch_size, or LayerNorm"
    )


class Functional(nn.Module):
    def forward(self, x):
        return nn.functional.batch_norm(x, torch.zeros(6), torch.ones(6), training=self.training)


@pytest.mark.parametrize(
    "norm", [nn.InstanceNorm2d(6, track_running_stats=True), nn.GroupNorm(6, 6), Functional()]
)
def test_what_pytorch_refuses_in_training_is_refused_before_it(pixels, norm):
    model = net(norm)
    with pytest.raises(ModelError) as error:
        train(model, pixels)
    assert str(error.value).startswith(
        "the model cannot train on the last minibatch of an epoch, of shape (1, 4, 1, 1): Expected"
    )
    assert str(error.value).endswith("; take another batch_size or another normalisation")
