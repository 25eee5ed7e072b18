"""Which parameters lie in the same memory; and how a model of shared parts trains and goes on."""

import copy

import pytest
import torch
from torch import nn

import steepest as sp
from steepest.engine.native import extension
from steepest.errors import ModelError, RunError
from steepest.nn import overlaps_itself, shared_memory
from steepest.nn.residual import Residual


def net(middle=None):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), middle or nn.Linear(4, 4), nn.Linear(4, 3))


def same_data():
    model = net()
    model[2].weight.data = model[0].weight.data
    return model


def transposed():
    model = net()
    model[2].weight = nn.Parameter(model[0].weight.t())
    return model


def overlapping_slices():
    model, flat = net(), torch.randn(28)
    model[0].weight = nn.Parameter(flat[:16].view(4, 4))
    model[2].weight = nn.Parameter(flat[12:].view(4, 4))
    return model


def a_row_as_bias():
    model = net()
    model[2].bias = nn.Parameter(model[0].weight[1])
    return model


def statistics():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    model[2].running_mean.data = model[1].running_mean.data
    return model


def one_layer_twice():
    model = net()
    model[2] = model[0]
    return model


SHARING = [same_data, transposed, overlapping_slices, a_row_as_bias, statistics, one_layer_twice]


def train(model, data, **settings):
    return sp.train(model, data, progress="none", check=False, watch=False, **settings)


@pytest.mark.parametrize("make", SHARING)
def test_what_shares_memory_is_trained_as_one_by_the_torch_engine(make, blobs):
    run = train(make(), blobs, epochs=1)
    assert run.info["engine"] == "torch"
    if extension() is not None:
        assert run.info["reason"].endswith("share memory")


def test_slices_of_one_storage_that_lie_apart_are_none_of_it():
    flat = torch.randn(35)
    apart = [("a", flat[:16].view(4, 4)), ("b", flat[16:32].view(4, 4)), ("c", flat[32:])]
    assert shared_memory([*apart, ("none", flat[:0])]) is None
    assert shared_memory([*apart, ("d", flat[15:16])]) == ("a", "d")
    assert shared_memory([("whole", flat), *apart]) == ("whole", "a")
    assert shared_memory([("a", flat[0:1]), ("b", flat[2:3]), ("c", flat)]) == ("a", "c")


@pytest.mark.parametrize("model", [same_data, transposed, one_layer_twice])
def test_tied_weights_take_the_steps_of_one_weight(model, blobs):
    """By hand: one leaf that stands in both places, its gradient the sum of both."""
    whole = copy.deepcopy(model())  # whose copies are apart
    ties = {"same_data": lambda w: w, "one_layer_twice": lambda w: w, "transposed": torch.t}
    weight = whole[0].weight.detach().clone().requires_grad_()
    trained = model()
    train(trained, blobs, batch_size="full", epochs=3, lr=0.1, validation=0.0, scaling="none")
    x, y = (torch.from_numpy(a) for a in blobs)
    second_bias = whole[0].bias if model is one_layer_twice else whole[2].bias
    leaves = [weight, *{whole[0].bias, second_bias}, *whole[3].parameters()]
    for _ in range(3):
        hidden = nn.functional.linear(x, weight, whole[0].bias).tanh()
        hidden = nn.functional.linear(hidden, ties[model.__name__](weight), second_bias)
        nn.functional.cross_entropy(whole[3](hidden), y).backward()
        with torch.no_grad():
            for leaf in leaves:
                leaf -= 0.1 * leaf.grad
                leaf.grad = None
    assert torch.allclose(trained[0].weight, weight, atol=1e-5)
    assert torch.allclose(trained[2].weight, ties[model.__name__](weight), atol=1e-5)


def dropout_twice():
    model, dropout = net(), nn.Dropout(0.5)
    return nn.Sequential(model[0], dropout, model[2], dropout, model[3])


def residual_twice():
    model, block = net(), Residual(nn.Identity(), 0.5)
    return nn.Sequential(model[0], block, model[1], block, model[3])


@pytest.mark.parametrize(
    "make", [same_data, transposed, one_layer_twice, dropout_twice, residual_twice]
)
def test_a_run_of_shared_parts_goes_on_with_the_module_alone(make, blobs, tmp_path):
    """Built from its description it would have two parts for one, or other masks."""
    whole, halves = make(), make()
    settings = {"ema": 0.9, "optimizer": "adam"}
    train(whole, blobs, epochs=4, **settings)
    train(halves, blobs, epochs=2, out=tmp_path / "run", **settings)
    with pytest.raises(RunError, match=r"a part that is used twice.*pass it"):
        sp.resume(tmp_path / "run", data=blobs, epochs=4, progress="none")
    again = make()
    sp.resume(tmp_path / "run", again, blobs, epochs=4, progress="none")
    assert all(map(torch.equal, whole.parameters(), again.parameters()))
    for weights in ("final", "best"):
        opened = sp.load_run(tmp_path / "run", weights=weights)
        assert opened.classifier.predict(blobs[0]).shape == (180,)


def test_activations_used_twice_are_described(blobs, tmp_path):
    activation = nn.ReLU()
    model = nn.Sequential(nn.Linear(4, 4), activation, nn.Linear(4, 4), activation, nn.Linear(4, 3))
    train(model, blobs, epochs=1, out=tmp_path / "run")
    assert sp.resume(tmp_path / "run", data=blobs, epochs=2, progress="none").status == "finished"


def test_a_parameter_whose_elements_share_memory_is_refused(blobs):
    expanded, toeplitz = net(), net()
    expanded[0].weight = nn.Parameter(torch.ones(4, 1).expand(4, 4))
    toeplitz[0].weight = nn.Parameter(torch.randn(7).as_strided((4, 4), (1, 1)))
    for model in (expanded, toeplitz):
        with pytest.raises(ModelError, match=r"elements of '0.weight' share memory.*\.clone\(\)"):
            train(model, blobs)
    matrix = torch.randn(6, 4)
    for whole in (matrix, matrix.t(), matrix[::2, 1:3], matrix[None, :, None], matrix[:0]):
        assert not overlaps_itself(whole)
