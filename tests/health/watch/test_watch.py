"""watch(): leaves no trace, sees loops of every kind, and is silent on healthy ones."""

import copy
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.errors import HealthWarning
from steepest.health.foreign import SWITCH

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.HealthWarning")


@pytest.fixture
def rows():
    torch.manual_seed(0)
    X = torch.randn(400, 8)
    return TensorDataset(X, X[:, :3].argmax(1))


def net():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )


def loader(rows):
    return DataLoader(rows, 32, shuffle=True, generator=torch.Generator().manual_seed(2))


def train(model, optimizer, rows, loss_fn, epochs=3):
    torch.manual_seed(3)
    for _ in range(epochs):
        model.train()
        for x, y in loader(rows):
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in loader(rows):
                loss_fn(model(x), y)
    return [tensor.clone() for tensor in model.state_dict().values()] + [torch.rand(1)]


def bits(tensor):
    """Its bytes: NaN is equal to itself only there."""
    return tensor.numpy().tobytes()


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("loss_fn", [nn.CrossEntropyLoss(), F.cross_entropy])
@pytest.mark.parametrize("lr", [0.01, 100.0])
def test_weights_statistics_and_random_numbers_are_the_same_bit_for_bit(
    rows, optimizer, loss_fn, lr
):
    plain, watched = net(), net()
    expected = train(plain, optimizer(plain.parameters(), lr=lr), rows, loss_fn)
    own = optimizer(watched.parameters(), lr=lr)
    with sp.watch(watched, loss_fn, own) as w:
        found = train(watched, own, rows, loss_fn)
    assert w.problem == ""
    assert list(map(bits, found)) == list(map(bits, expected))
    assert not watched._forward_hooks
    assert not watched._forward_pre_hooks
    if lr == 0.01:
        assert w.findings.actionable.codes == []
    else:
        assert w.findings.actionable


def test_a_step_between_forward_and_backward_is_told(rows):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with sp.watch(model, nn.CrossEntropyLoss(), optimizer) as w:
        for x, y in loader(rows):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            optimizer.step()
            loss.backward()
    (found,) = w.findings.errors
    assert found.code == "ZERO_AFTER_BACKWARD"
    assert found.message.startswith("step() comes before backward()")


def test_a_sign_is_told_where_most_rows_are_sure_already(rows):
    model = net()
    with torch.no_grad():
        model[4].weight.mul_(300)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loss_fn = nn.CrossEntropyLoss()
    with sp.watch(model, loss_fn, optimizer) as w:
        for x, y in loader(rows):
            optimizer.zero_grad()
            (-loss_fn(model(x), y)).backward()
            optimizer.step()
    assert w.findings.errors.codes == ["ASCENT"]


@pytest.mark.parametrize("belong", [False, True])
def test_labels_are_asked_at_the_end_whatever_else_went_wrong(rows, belong):
    X, y = rows.tensors
    shuffled = torch.randperm(len(y), generator=torch.Generator().manual_seed(5))
    rows = TensorDataset(X, y if belong else y[shuffled])
    model, loss_fn = net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e6)
    with sp.watch(model, loss_fn, optimizer) as w:
        train(model, optimizer, rows, loss_fn, epochs=5)
    assert ("LABELS_SHUFFLED" in w.findings.actionable.codes) == (not belong)


def summed(model, loss_fn, optimizer, rows, *, detached=False, evaluating=False):
    """An epoch and a validation with gradients; losses of one of them are kept."""
    kept = []
    for x, y in DataLoader(rows, 8, shuffle=True):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        kept.append(loss.detach() if detached or evaluating else loss)
    model.eval()
    for x, y in DataLoader(rows, 8):
        loss = loss_fn(model(x), y)
        kept.append(loss if evaluating and not detached else loss.detach())
    return kept


@pytest.mark.parametrize("evaluating", [False, True])
def test_graphs_that_are_kept_are_told(rows, evaluating):
    model, loss_fn = (
        nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)),
        nn.CrossEntropyLoss(),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with sp.watch(model, loss_fn, optimizer) as w:
        summed(model, loss_fn, optimizer, rows, evaluating=evaluating)
    (found,) = w.findings.actionable
    assert found.code == "GRAPH_KEPT"
    assert ("no_grad" in found.fix) == evaluating
    with sp.watch(model, loss_fn, optimizer) as w:
        summed(model, loss_fn, optimizer, rows, detached=True, evaluating=evaluating)
    assert w.findings.actionable.codes == []


def test_who_keeps_a_graph_keeps_no_inputs_by_the_watch(rows):
    model, loss_fn = nn.Linear(8, 3), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    kept, inputs = [], []
    with sp.watch(model, loss_fn, optimizer):
        for x, y in loader(rows):
            optimizer.zero_grad()
            kept.append(loss_fn(model(x), y))
            kept[-1].backward()
            optimizer.step()
            inputs.append(weakref.ref(x))
        del x, y
        assert [k for k, x in enumerate(inputs) if x() is not None] in ([], [len(inputs) - 1])


def test_labels_that_are_left_out_break_no_rule(rows):
    X, y = rows.tensors
    model = nn.Sequential(nn.Linear(X.shape[1], 16), nn.ReLU(), nn.Linear(16, 3))
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1)
    some = torch.where(torch.arange(len(y)) % 4 == 0, loss_fn.ignore_index, y)
    with sp.watch(model, loss_fn, optimizer) as watch:
        for step in range(45):
            batch = slice(step % 8 * 16, step % 8 * 16 + 16)
            optimizer.zero_grad()
            loss_fn(model(X[batch]), some[batch]).backward()
            optimizer.step()
    assert not watch.problem


def test_accumulation_is_no_fault(rows):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loss_fn = nn.CrossEntropyLoss()
    with sp.watch(model, loss_fn, optimizer) as w:
        for epoch in range(4):
            for i, (x, y) in enumerate(loader(rows)):
                (loss_fn(model(x), y) / 4).backward()
                if i % 4 == 3:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=bool(epoch % 2))
    assert w.findings.actionable.codes == []


def test_a_closure_is_no_fault(rows):
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5)
    loss_fn = nn.CrossEntropyLoss()
    X, y = rows.tensors

    def closure():
        optimizer.zero_grad()
        loss = loss_fn(model(X), y)
        loss.backward()
        return loss

    with sp.watch(model, loss_fn, optimizer) as w:
        for _ in range(10):
            optimizer.step(closure)
    assert w.findings.actionable.codes == []


def test_several_optimizers_that_take_turns_are_no_fault(rows):
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    both = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[2])]
    loss_fn = nn.CrossEntropyLoss()
    with sp.watch(model, loss_fn, both) as w:
        for _ in range(4):
            for i, (x, y) in enumerate(loader(rows)):
                one = both[i % 2]
                one.zero_grad()
                loss_fn(model(x), y).backward()
                one.step()
    assert "NO_ZERO_GRAD" not in w.findings.codes


@pytest.mark.parametrize("scheduler", ["warmup", "cosine"])
def test_schedules_are_no_fault(rows, scheduler):
    model, loss_fn = net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps = 6 * len(loader(rows))
    chosen = {
        "warmup": lambda: torch.optim.lr_scheduler.LinearLR(optimizer, 1e-5, 1.0, steps // 3),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
    }[scheduler]()
    with sp.watch(model, loss_fn, optimizer) as w:
        for _ in range(6):
            for x, y in loader(rows):
                optimizer.zero_grad()
                loss_fn(model(x), y).backward()
                optimizer.step()
                chosen.step()
    assert w.findings.actionable.codes == []


def test_frozen_batch_norm_is_no_fault(rows):
    model, loss_fn = net(), nn.CrossEntropyLoss()
    model[1].eval().requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    with sp.watch(model, loss_fn, optimizer) as w:
        for x, y in loader(rows):
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
    assert "TRAIN_IN_EVAL_MODE" not in w.findings.codes


def test_findings_are_live_and_given_as_warnings_at_the_end(rows):
    model, loss_fn = net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    w = sp.watch(model, loss_fn, optimizer).start()
    for x, y in list(loader(rows))[:4]:
        loss_fn(model(x), y).backward()
        optimizer.step()
    assert w.findings[0].code == "NO_ZERO_GRAD"
    assert w.findings[0].severity == "error"
    with pytest.warns(HealthWarning, match=r"NO_ZERO_GRAD: .*; fix: optimizer.zero_grad\(\)"):
        w.stop()


def test_our_own_mistakes_never_reach_the_loop(rows, monkeypatch):
    monkeypatch.delenv(SWITCH)
    module = sys.modules["steepest.health.watch.observer"]
    monkeypatch.setattr(module, "first_tensor", lambda output: 1 / 0)
    model, loss_fn = net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sp.watch(model, loss_fn, optimizer) as w:
        train(model, optimizer, rows, loss_fn, epochs=1)
    assert w.problem == "ZeroDivisionError: division by zero"


def test_a_run_of_our_own_asks_what_if(blobs):
    made = {"momentum": 0.9, "epochs": 40, "check": False, "progress": "none"}
    high = sp.train(None, blobs, lr=1e4, **made)
    assert high.findings[0].code == "LR_TOO_HIGH"
    assert "taken again with lr" in str(high.findings[0].evidence[0])
    low = sp.train(None, blobs, lr=1e-7, **made)
    assert [f.code for f in low.findings.actionable] == ["LR_TOO_LOW"]
    assert sp.train(None, blobs, lr=0.05, **made).findings.actionable.codes == []


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_run_of_our_own_is_the_same_with_and_without(blobs, engine, tmp_path):
    made = {"lr": 30.0, "epochs": 5, "engine": engine, "progress": "none", "check": False}
    with_it = sp.train(None, blobs, out=tmp_path / "run", **made)
    without = sp.train(None, blobs, watch=False, **made)
    pairs = zip(with_it.model.parameters(), without.model.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
    assert without.findings.codes == []
    assert sp.load_run(tmp_path / "run").findings.codes == with_it.findings.codes
    assert copy.copy(with_it.findings).codes == with_it.findings.codes
