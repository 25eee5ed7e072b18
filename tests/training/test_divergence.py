"""What is said when numbers stop being finite, and what is left."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

import steepest as sp
from steepest.training import divergence
from steepest.training.checkpoint import newest


class Cut(nn.Module):
    """The logarithm of the first feature, which is not finite where that is 0 or below."""

    def forward(self, x):
        return torch.cat([torch.log(x[:, :1]), x[:, 1:]], dim=1)


@pytest.fixture
def positive():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (200, 4)).astype(np.float32)
    return X, (X[:, 1] > 1.5).astype(int)


def test_the_first_module_and_the_rows_are_named(positive):
    X, y = positive
    X[[17, 140], 0] = -1
    model = nn.Sequential(nn.Linear(4, 4), nn.Identity(), Cut(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4))
        model[0].bias.zero_()
    model[0].requires_grad_(False)
    run = sp.train(
        model, (X, y), scaling="none", validation=0.0, batch_size=50, progress="none", lr=0.01
    )
    assert run.status == "diverged"
    reason = run.record.table("events")["text"][-1]
    assert reason.startswith("the loss became nan: in step ")
    assert "the output of module '2' (Cut) was the first not to be finite, for" in reason
    named = {int(row) for row in reason.split("of the data: ")[1].split(";")[0].split(", ")}
    assert named <= {17, 140}
    assert named


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_an_update_that_was_too_large_is_told_and_undone(positive, engine):
    X, y = positive
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    run = sp.train(model, (X, y), lr=1e25, engine=engine, progress="none", epochs=5)
    assert run.status == "diverged"
    reason = run.record.table("events")["text"][-1]
    assert "in step " in reason
    assert "try a learning rate below 1e+25" in reason
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert math.isfinite(run.scores["train"].loss)


def test_no_checkpoint_holds_what_is_not_finite_and_the_run_goes_on_from_the_last(
    positive, tmp_path
):
    made = {"hidden": (8,), "epochs": 20, "batch_size": 20, "lr": 0.05, "progress": "none"}

    def scheduler(later):
        return lambda o: LambdaLR(o, lambda epoch: 1 if epoch < 3 else later)

    run = sp.train(
        None, positive, out=tmp_path / "run", checkpoint_steps=3, scheduler=scheduler(1e30), **made
    )
    assert run.status == "diverged"
    assert newest(tmp_path / "run").step >= 27
    again = sp.resume(tmp_path / "run", data=positive, scheduler=scheduler(1), progress="none")
    assert again.status == "finished"
    assert again.history.height == 20
    assert again.scores["train"].loss < 1


def test_it_goes_on_if_asked(positive):
    X, y = positive
    run = sp.train(None, (X, y), lr=1e25, stop_on_nan=False, progress="none", epochs=2)
    assert run.status == "finished"
    assert math.isnan(run.history["train_loss"][-1])


def sparse_net(weight=None):
    """Two linear layers and a mask of minus infinity, as attention has one."""
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    if weight is not None:
        with torch.no_grad():
            model[0].weight[1, 2] = weight
    return model


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_weights_that_are_not_finite_from_the_start_are_named(positive, engine, weight):
    model = sparse_net(weight)
    before = model[0].weight.clone()
    run = sp.train(model, positive, engine=engine, check=False, progress="none")
    assert run.status == "diverged"
    assert run.record.table("events")["text"][-1] == (
        "the loss became nan: '0.weight' held a NaN or an infinity before step 1; give the model "
        "finite weights"
    )
    assert torch.equal(model[0].weight.nan_to_num(7.0), before.nan_to_num(7.0))


def test_a_buffer_of_minus_infinity_is_no_divergence(positive, tmp_path):
    run = sp.train(sparse_net(), positive, epochs=2, progress="none", out=tmp_path / "run")
    assert run.status == "finished"
    assert newest(tmp_path / "run").step == 12
    run = sp.train(sparse_net(), positive, lr=1e25, engine="torch", progress="none", epochs=2)
    assert "was the first not to be finite" in run.record.table("events")["text"][-1]
    assert all(bool(torch.isfinite(p).all()) for p in run.model.parameters())


def test_a_resumed_model_too_large_to_keep_twice_goes_back_to_its_checkpoint(
    positive, tmp_path, monkeypatch
):
    monkeypatch.setattr(divergence, "_LARGEST_TO_KEEP", 10)
    sp.train(sparse_net(), positive, epochs=2, out=tmp_path / "run", progress="none")
    saved = newest(tmp_path / "run")
    run = sp.resume(
        tmp_path / "run", sparse_net(), positive, epochs=4, lr=1e25, check=False, progress="none"
    )
    assert run.status == "diverged"
    assert "has its weights of step 12" in run.record.table("events")["text"][-1]
    assert torch.equal(run.model[0].weight, saved.model["0.weight"])
