"""Experiments take the steps of the optimizer that is there, of a class of torch, of a user or of a recipe."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steepest as sp
from steepest.engine import Rows
from steepest.health.replay.batches import Batch
from steepest.health.replay.planned import Planned
from steepest.health.replay.replay import Setup, lr_times, momentum_of, replay, without_decay
from steepest.recipe import Recipe
from steepest.training.preflight import _rate, preflight
from steepest.training.preparation import prepare


class Lion(torch.optim.Optimizer):
    """Chen et al. (2023). Its momenta lie in an attribute of its own, its groups know no decay."""

    def __init__(self, params, lr=1e-3, beta=0.9):
        super().__init__(params, {"lr": lr})
        self.beta = beta
        self.momenta = {}
        self.wanted = {p for group in self.param_groups for p in group["params"]}

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                assert p in self.wanted
                m = self.momenta.setdefault(p, torch.zeros_like(p))
                m.lerp_(p.grad, 1 - self.beta)
                p.sub_(m.sign(), alpha=group["lr"])


class Bare:
    """No subclass of torch's, and no groups."""

    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p in self.params:
            p.data -= self.lr * p.grad


class ByClosure(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        super().step()
        return loss


class Elsewhere(Bare):
    """Reaches the parameters by a function, which no copy takes along."""

    def __init__(self, params, lr):
        held = list(params)
        super().__init__([], lr)
        self.parameters = lambda: held

    def step(self):
        for p in self.parameters():
            p.data -= self.lr * torch.ones_like(p)


class Refuses(Bare):
    def step(self):
        raise RuntimeError("not before it is prepared")


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def batches(n=6):
    X = torch.randn(32 * n, 6, generator=torch.Generator().manual_seed(1))
    return list(zip(X.split(32), X[:, :3].argmax(1).split(32), strict=True))


OPTIMIZERS = {
    "rmsprop, centered": lambda p: torch.optim.RMSprop(p, 0.01, centered=True, momentum=0.5),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "adadelta": torch.optim.Adadelta,
    "nadam": lambda p: torch.optim.NAdam(p, 0.01),
    "rprop": torch.optim.Rprop,
    "adam, amsgrad": lambda p: torch.optim.Adam(p, 0.01, amsgrad=True),
    "sgd, dampening": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.5),
    "lion": lambda p: Lion(p, 0.01),
    "bare": lambda p: Bare(p, 0.1),
    "by closure": lambda p: ByClosure(p, 0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replays_are_the_steps_of_the_users_own_optimizer(name):
    setup = Setup(net(), F.cross_entropy, (OPTIMIZERS[name](net().parameters()),))
    setup.optimizers = (OPTIMIZERS[name](setup.model.parameters()),)
    shown = [Batch((x,), y) for x, y in batches()]
    before = [p.clone() for p in setup.model.parameters()]
    found = replay(setup, shown, 6).losses
    assert all(map(torch.equal, setup.model.parameters(), before))
    assert found == pytest.approx([setup.step(batch) for batch in shown], rel=1e-5)


@pytest.mark.parametrize("name", ["lion", "bare", "by closure"])
def test_a_healthy_program_with_an_optimizer_of_its_own_is_silent(name):
    model = net()
    optimizer = OPTIMIZERS[name](model.parameters())
    assert sp.check(model, F.cross_entropy, optimizer, batches(10), seconds=10).codes == []


@pytest.mark.parametrize(
    ("kind", "told"), [(Elsewhere, "moves the weights"), (Refuses, "prepared")]
)
def test_an_optimizer_that_cannot_be_tried_is_told_and_leaves_no_trace(kind, told):
    model = net()
    before = [p.clone() for p in model.parameters()]
    found = sp.check(model, F.cross_entropy, kind(model.parameters(), 0.1), batches(), seconds=10)
    assert found.codes == ["NOT_CHECKED"]
    assert f"the settings of {kind.__name__}: " in found[0].message
    assert told in found[0].message
    assert all(map(torch.equal, model.parameters(), before))


def prepared(blobs, **settings):
    made = {"epochs": 3, "batch_size": 32, "hidden": (8,), "validation": 0.0, "test": 0.0}
    return prepare(None, blobs, Recipe(**made | settings))


RECIPES = {
    "rmsprop": {"optimizer": "rmsprop", "lr": 0.01},
    "rmsprop with momentum": {"optimizer": "rmsprop", "momentum": 0.5, "weight_decay": 0.01},
    "clipped, gathered, weighted, warmed up": {
        "lr": 0.1, "clip_norm": 0.05, "accumulate": 3, "class_weight": "balanced", "warmup": 10,
        "schedule": "cosine",
    },
    "mixed": {"optimizer": "adam", "mixup": 0.3, "label_smoothing": 0.1},
    "drawn": {"class_weight": (1.0, 2.0, 5.0), "sampling": "weighted", "nesterov": True, "momentum": 0.9},
    "lbfgs": {"optimizer": "lbfgs", "batch_size": "full"},
    "focal": {"loss": "focal"},
    "groups": {"groups": {"1.*": {"lr_scale": 0.1, "weight_decay": 0.1}}, "weight_decay": 0.01},
    "masks": {"dropout": 0.3, "batch_norm": True, "l1": 0.01},
}  # fmt: skip


def planned(ready):
    plan = ready.plan
    rows = Rows(plan.inputs, like=next(plan.model.parameters()))
    y, order = torch.from_numpy(plan.targets), torch.from_numpy(plan.order(0).copy())
    shown = [Batch((rows[i],), y[i]) for i in order.split(plan.batch_size)]
    steps = Planned(plan, ready.lr, _rate(ready))
    return Setup(plan.model, plan.loss, (steps,)), [b for b in shown if b.rows == plan.batch_size]


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("name", RECIPES)
def test_replays_of_a_plan_are_the_first_steps_of_its_run(blobs, name, engine):
    if engine == "native" and name in ("lbfgs", "focal"):
        engine = "auto"
    ready = prepared(blobs, engine=engine, **RECIPES[name])
    setup, shown = planned(ready)
    found = replay(setup, shown, 5).losses
    own = ready.choice.engine
    own.load(ready.plan)
    rate = _rate(ready)
    assert found == pytest.approx([own.advance([rate(k)]).loss for k in range(5)], rel=1e-4)


def test_what_is_changed_in_a_plan_is_changed_in_its_recipe(blobs):
    ready = prepared(blobs, momentum=0.99, lr=0.1, **RECIPES["groups"])
    setup, shown = planned(ready)
    for change, settings in (
        (lr_times(0.1), {"lr": 0.01}),
        (momentum_of(0.9), {"momentum": 0.9}),
        (without_decay, {"weight_decay": 0.0, "groups": {"1.*": {"lr_scale": 0.1}}}),
    ):
        other, _ = planned(
            prepared(blobs, **{"momentum": 0.99, "lr": 0.1} | RECIPES["groups"] | settings)
        )
        assert replay(setup, shown, 5, change=change).losses == replay(other, shown, 5).losses
    assert replay(setup, shown, 5).losses != replay(other, shown, 5).losses


def test_the_rate_of_rmsprop_is_judged_by_its_own_steps(blobs):
    """Its first step is ten times Adam's at the same rate: 0.3 is too high for it alone."""
    found = {}
    for optimizer in ("rmsprop", "adam"):
        ready = prepared(blobs, optimizer=optimizer, lr=0.3, hidden=(64, 64, 64))
        found[optimizer] = preflight(ready, 10, thorough=True).codes
    assert found["rmsprop"] == ["LR_TOO_HIGH"]
    assert "LR_TOO_HIGH" not in found["adam"]


def test_a_copied_optimizer_steps_by_itself_after_a_scheduler_was_made():
    """The scheduler's wrapper of step() is bound to the optimizer that it was made for."""
    torch.manual_seed(0)
    X = torch.randn(64, 8)
    y = X[:, :3].argmax(1)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.optim.lr_scheduler.StepLR(optimizer, 5)
    before = [p.detach().clone() for p in model.parameters()]
    batches = [Batch((X,), y)]
    setup = Setup(model, nn.functional.cross_entropy, (optimizer,))
    taken, still = (replay(setup, batches, 20, change=lr_times(k)) for k in (1.0, 0.0))
    assert taken.losses[-1] < 0.9 * taken.losses[0]
    assert still.losses[-1] == pytest.approx(still.losses[0])
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
