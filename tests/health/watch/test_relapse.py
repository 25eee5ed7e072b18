"""watch(): a training that had learned and lost it. The cause is what a replay from a good state shows."""

import pytest
import torch
from torch import nn

import steepest as sp
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup
from steepest.health.watch.good_states import GoodState

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.HealthWarning")
STEPS, RISE = 330, 165


@pytest.fixture(scope="module")
def rows():
    torch.manual_seed(0)
    X = torch.randn(640, 8)
    return X, X[:, :3].argmax(1)


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


def plain_net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))


def train(model, optimizer, rows, change, *, watched, steps=STEPS, scheduler=None):
    """The watch, and every bit that is left.

    change(step, optimizer) comes before each step; what it returns, the inputs are multiplied by.
    """
    X, y = rows
    loss_fn = nn.CrossEntropyLoss()
    torch.manual_seed(3)
    w = sp.watch(model, loss_fn, optimizer)
    if watched:
        w.start()
    for step in range(steps):
        scale = change(step, optimizer) or 1.0
        part = slice(32 * step % 640, 32 * step % 640 + 32)
        optimizer.zero_grad()
        loss_fn(model(scale * X[part]), y[part]).backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
    w.stop()
    left = [t.numpy().tobytes() for t in model.state_dict().values()]
    return w, [*left, torch.rand(1).item()]


def raised(step, optimizer):
    if step == RISE:
        optimizer.param_groups[0]["lr"] *= 1000


def nothing(step, optimizer):
    pass


@pytest.mark.parametrize(
    ("optimizer", "make", "change"),
    [
        (torch.optim.SGD, net, raised),
        (torch.optim.AdamW, net, raised),
        (torch.optim.SGD, plain_net, nothing),
    ],
)
def test_good_states_and_what_ifs_change_no_bit(rows, optimizer, make, change):
    settings = {"lr": 0.05, "momentum": 0.9} if optimizer is torch.optim.SGD else {"lr": 0.01}
    runs = []
    for watched in (False, True):
        model = make()
        own = optimizer(model.parameters(), **settings)
        runs.append(train(model, own, rows, change, watched=watched))
    (_, expected), (w, found) = runs
    assert w.problem == ""
    assert found == expected
    if change is nothing:
        assert w.findings.actionable.codes == []


def test_a_rate_that_rose_is_named_with_what_would_have_happened_without(rows):
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    w, _ = train(model, optimizer, rows, raised, watched=True)
    (finding,) = w.findings.actionable
    assert (finding.code, finding.confidence) == ("LR_ROSE", "confirmed")
    assert "0.05 to 50" in finding.message
    (evidence,) = finding.evidence
    state = int(evidence.where.partition("from step ")[2].partition(",")[0])
    assert 0 < state <= RISE
    assert evidence.expected.endswith("at lr 0.05")
    assert float(evidence.expected.split()[0]) < 0.3


def test_a_spike_of_one_step_is_named_though_the_rate_is_as_before(rows):
    def spike(step, optimizer):
        optimizer.param_groups[0]["lr"] = 1e5 if step == RISE + 13 else 0.05

    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    w, _ = train(model, optimizer, rows, spike, watched=True)
    assert w.findings.actionable.codes == ["LR_ROSE"]


def test_a_momentum_that_rose_is_named(rows):
    def more(step, optimizer):
        if step == RISE:
            optimizer.param_groups[0]["momentum"] = 0.9999

    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    w, _ = train(model, optimizer, rows, more, watched=True)
    assert w.findings.actionable.codes == ["MOMENTUM_ROSE"]


def test_what_no_rate_explains_is_told_as_lost(rows):
    """The optimizer's own steps do no harm on the rows as they were: X."""
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    blown_up = lambda step, _: 30.0 if step > RISE else 1.0  # noqa: E731
    w, _ = train(model, optimizer, rows, blown_up, watched=True)
    (finding,) = w.findings.actionable
    assert (finding.code, finding.confidence) == ("LEARNING_LOST", "suspected")
    assert "first minibatches" in finding.evidence[0].measured


def test_a_rise_that_comes_back_is_silent(rows):
    def restart(step, optimizer):
        optimizer.param_groups[0]["lr"] = 3.0 if RISE <= step < RISE + 10 else 0.05

    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    w, _ = train(model, optimizer, rows, restart, watched=True)
    assert w.findings.actionable.codes == []


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_a_good_state_goes_on_as_the_training_did(rows, optimizer):
    """Bit for bit: weights, running statistics and what the optimizer keeps are all there."""
    X, y = rows
    model = net()
    own = optimizer(model.parameters(), lr=0.01)
    setup = Setup(model, nn.CrossEntropyLoss(), (own,))

    def go(one, steps):
        for k in steps:
            one.step(Batch((X[32 * k : 32 * k + 32],), y[32 * k : 32 * k + 32]))
        return [t.clone() for t in one.model.state_dict().values()]

    go(setup, range(8))
    state = GoodState.of(setup, 8, 0.5, 0.9)
    expected = go(setup, range(8, 16))
    own.param_groups[0]["lr"] = 7.0
    begun = state.start(setup)
    assert all(torch.equal(p, q) for p, q in zip(go(begun, range(8, 16)), expected, strict=True))
    assert state.start(setup).optimizers[0].param_groups[0]["lr"] == 0.01


def test_a_state_is_not_put_into_another_model(rows):
    model = plain_net()
    own = torch.optim.SGD(model[2].parameters(), lr=0.01)
    setup = Setup(model, nn.CrossEntropyLoss(), (own,))
    state = GoodState.of(setup, 1, 0.5, 0.9)
    own.add_param_group({"params": list(model[0].parameters())})
    assert state.start(setup) is None
