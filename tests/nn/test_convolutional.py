"""A recipe's convolutional net: what is built, on both engines, in files, in a script."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import ModelError, RecipeError
from steepest.nn import convolutional

RNG = np.random.default_rng(0)
NET = {"channels": (4, 6), "hidden": (5,), "batch_norm": True, "residual": True, "dropout": 0.1}
NET |= {"stochastic_depth": 0.3}
PLAIN = {"epochs": 2, "batch_size": 8, "lr": 0.05, "check": False, "progress": "none"}


def rows(*shape, count=20):
    return RNG.integers(0, 256, (count, *shape)).astype(np.uint8), np.arange(count) % 3


def kinds(net):
    return [type(module).__name__ for module in net]


def test_each_stage_halves_the_image_and_the_later_ones_add_to_it():
    net = convolutional((1, 28, 28), (4, 8), 3, batch_norm=True, residual=True)
    stage = ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"]
    head = ["AdaptiveAvgPool2d", "Flatten", "LinearLayer"]
    assert kinds(net) == [*stage, *stage, "Residual", *head]
    assert net[:4](torch.zeros(2, 1, 28, 28)).shape == (2, 4, 14, 14)
    assert net[:9](torch.zeros(2, 1, 28, 28)).shape == (2, 8, 7, 7)
    assert net[0].bias is None
    assert convolutional((1, 28, 28), (4,), 3)[0].bias is not None


def test_large_images_are_halved_once_more_and_larger_ones_are_shrunk():
    halved, shrunk = convolutional((3, 64, 64), (4,), 2), convolutional((3, 224, 200), (4,), 2)
    assert (halved[0].kernel_size, halved[0].stride) == ((5, 5), (2, 2))
    assert (kinds(shrunk)[0], shrunk[0].kernel_size) == ("AvgPool2d", (3, 3))
    assert shrunk(torch.zeros(1, 3, 224, 200)).shape == (1, 2)


def test_first_weights_are_those_of_the_seed_and_have_hes_variance():
    one, same = (convolutional((3, 32, 32), (64, 64), 2, seed=3) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), same.parameters(), strict=True))
    filters = one[3].weight
    assert filters.var().item() == pytest.approx(2 / (64 * 9), rel=0.05)
    assert not torch.equal(
        one[0].weight[:, 0], convolutional((3, 32, 32), (64, 64), 2)[0].weight[:, 0]
    )


@pytest.mark.parametrize("shape", [(9, 9), (3, 12, 10), (1, 44, 50), (1, 4, 100)])
def test_both_engines_train_it_alike(shape):
    data = rows(*shape)
    native, other = (sp.train(None, data, engine=e, **NET, **PLAIN) for e in ("native", "torch"))
    assert native.info["engine"] == "native"
    losses = [run.history["train_loss"].to_list() for run in (native, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_rows_that_are_no_images_are_refused():
    with pytest.raises(RecipeError, match="channels are for images, rows of shape"):
        sp.train(None, (RNG.random((9, 4)), np.arange(9) % 2), channels=(4,), **PLAIN)
    with pytest.raises(ModelError, match="a row has shape"):
        convolutional((7,), (4,), 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer_norm": True}, "channels describe a net for images, which has none of layer_norm"),
        ({"residual": True, "hidden": ()}, "or two stages of channels"),
    ],
)
def test_what_does_not_go_with_channels_is_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        sp.Recipe(channels=(4,), **settings)


def test_beside_a_model_they_are_refused():
    with pytest.raises(RecipeError, match="channels describe the net that steepest builds"):
        sp.train(nn.Linear(4, 2), rows(2, 2), channels=(4,), **PLAIN)


def test_a_run_of_it_is_saved_and_goes_on(tmp_path):
    X, y = rows(9, 8)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    settings = {**NET, **PLAIN, "target": "y"}
    run = sp.train(None, str(tmp_path / "data.npz"), out=tmp_path / "run", **settings)
    opened = sp.load_run(tmp_path / "run")
    assert opened.recipe.channels == (4, 6)
    expected = run.classifier.predict_proba(X)
    assert np.array_equal(opened.classifier.predict_proba(X), expected)
    more = sp.resume(tmp_path / "run", epochs=3, progress="none")
    whole = sp.train(None, str(tmp_path / "data.npz"), **(settings | {"epochs": 3}))
    expected = whole.classifier.predict_proba(X)
    assert np.array_equal(more.classifier.predict_proba(X), expected)


@pytest.mark.parametrize("shape", [(9, 8), (3, 44, 12)])
def test_a_script_of_it_trains_the_same_net(tmp_path, shape):
    X, y = rows(*shape)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    extra = {"target": "y", "shift": 1, "ema": 0.9, "validation": 0.0}
    run = sp.train(None, str(tmp_path / "data.npz"), **NET, **PLAIN, **extra)
    run.to_script(tmp_path / "script.py")
    told = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    losses = [float(line.split("train_loss ")[1].split()[0]) for line in told.splitlines()[:2]]
    assert losses == pytest.approx(run.history["train_loss"].to_list(), rel=1e-4)


def test_an_onnx_graph_of_it_gives_the_same_probabilities(tmp_path):
    pytest.importorskip("onnxruntime")
    run = sp.train(None, rows(3, 12, 12), **NET, **PLAIN)
    run.export(tmp_path / "net.onnx")  # compared before it is written
    assert (tmp_path / "net.onnx").exists()
