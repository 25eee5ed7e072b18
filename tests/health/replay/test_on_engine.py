"""Replays take the native engine's steps where it runs the copy, and the same steps as PyTorch."""

import math

import pytest
import torch
from torch import nn

from steepest.health.clock import Clock
from steepest.health.replay.batches import Batch
from steepest.health.replay.on_engine import OnEngine
from steepest.health.replay.optimizers import Adam
from steepest.health.replay.replay import Setup, lr_times, on_logits, replay

CE, BCE = nn.CrossEntropyLoss, nn.BCEWithLogitsLoss


def net(out=3, activation=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), activation(), nn.Linear(16, out))


def minibatches(n=4, kind="classes"):
    g = torch.Generator().manual_seed(1)
    found = []
    for _ in range(n):
        x = torch.randn(8, 5, generator=g)
        y = x[:, :3].argmax(1)
        found.append(Batch((x,), y if kind == "classes" else (y == 0).float()[:, None]))
    return found


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.3),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, betas=(0.8, 0.99)),
    "neutral": lambda p: Adam(p, 0.01),
}


def native_of(setup, batches):
    return OnEngine.of(setup.model, setup.loss_fn, setup.optimizers, batches)


@pytest.mark.parametrize("kind", ["classes", "one output"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_engine_takes_the_steps_that_pytorch_takes(name, kind):
    model = net(3 if kind == "classes" else 1, nn.Tanh)
    loss_fn = CE() if kind == "classes" else BCE()
    setup = Setup(model, loss_fn, (OPTIMIZERS[name](model.parameters()),))
    batches = minibatches(kind=kind)
    before = [p.clone() for p in model.parameters()]
    assert native_of(setup, batches) is not None
    found = replay(setup, batches, 20)
    assert all(map(torch.equal, model.parameters(), before))
    twin = setup.copy()
    expected = [twin.step(batches[k % 4]) for k in range(20)]
    assert found.losses == pytest.approx(expected, rel=1e-4)
    assert not found.cut


def test_a_change_of_the_rate_and_a_bound_hold_on_the_engine():
    model = net()
    setup = Setup(model, CE(), (torch.optim.SGD(model.parameters(), 0.05),))
    few = minibatches(1)
    assert native_of(setup, few) is not None
    slow, fast = (replay(setup, few, 40, change=lr_times(k)) for k in (1, 10))
    assert fast.final < 0.5 * slow.final
    stopped = replay(setup, few, 400, change=lr_times(10), until=0.1)
    assert len(stopped.losses) < 400
    assert stopped.losses[-1] <= 0.1 * stopped.first < stopped.losses[-2]
    assert replay(setup, few, 40, clock=Clock(0.0)).cut


def with_hook(model):
    model[0].register_forward_hook(lambda *_: None)
    return model


def half(p):
    return torch.optim.SGD(list(p)[:2], 0.1)


def used(p):
    optimizer = torch.optim.SGD(p, 0.1, momentum=0.9)
    p = optimizer.param_groups[0]["params"]
    p[0].grad = torch.ones_like(p[0])
    optimizer.step()
    return optimizer


SGD01 = OPTIMIZERS["sgd"]


@pytest.mark.parametrize(
    ("model", "loss_fn", "optimizer", "kind"),
    [
        (net(), CE(label_smoothing=0.1), SGD01, "classes"),
        (net(), CE(weight=torch.ones(3)), SGD01, "classes"),
        (net(), CE(reduction="sum"), SGD01, "classes"),
        (net(), nn.MSELoss(), SGD01, "classes"),
        (net(), nn.functional.cross_entropy, SGD01, "classes"),
        (net(2), CE(), SGD01, "classes"),  # too narrow: it fails, in torch
        (nn.Sequential(*net(), nn.Softmax(1)), CE(), SGD01, "classes"),
        (nn.Sequential(*net(1), nn.Flatten(0)), BCE(), SGD01, "one output"),  # (N,) and (N, 1)
        (net(), CE(), half, "classes"),
        (net(), CE(), used, "classes"),
        (net(), CE(), lambda p: torch.optim.Adam(p, 0.1, amsgrad=True), "classes"),
        (net(), CE(), lambda p: torch.optim.SGD(p, 0.1, maximize=True), "classes"),
        (net(), CE(), lambda p: torch.optim.RMSprop(p, 0.1), "classes"),
        (with_hook(net()), CE(), SGD01, "classes"),
    ],
)
def test_what_the_engine_would_not_run_alike_stays_with_pytorch(model, loss_fn, optimizer, kind):
    setup = Setup(model, loss_fn, (optimizer(model.parameters()),))
    assert native_of(setup, minibatches(kind=kind)) is None


def test_batches_of_several_sizes_or_types_stay_with_pytorch():
    model = net()
    setup = Setup(model, CE(), (SGD01(model.parameters()),))
    one = minibatches()[0]
    assert native_of(setup, [one, one.take(slice(0, 4))]) is None
    assert native_of(setup, [one.double()]) is None
    assert native_of(setup, [Batch((one.x, one.x), one.target)]) is None
    assert native_of(setup, [Batch(one.args, one.target - 1)]) is None


def test_the_loss_gets_something_else_and_stays_with_pytorch():
    model = net()
    setup = Setup(model, CE(), (SGD01(model.parameters()),))
    changed = replay(setup, minibatches(), 5, change=on_logits(lambda z: 2 * z))
    assert math.isfinite(changed.final)
    assert changed.first != replay(setup, minibatches(), 5).first
