"""watch() around loops that are written in odd ways: what is right stays silent, faults are named."""

import copy
import io
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steepest as sp
from steepest.health.foreign import SWITCH

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.HealthWarning")

CE = nn.CrossEntropyLoss


def net(dropout=0.0, norm=False):
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(32)] if norm else []
    return nn.Sequential(
        nn.Linear(12, 32), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, 3)
    )


def minibatches(n=60, classes=3, noise=1.0):
    g = torch.Generator().manual_seed(1)
    centres = 2 * torch.randn(classes, 12, generator=g)
    for _ in range(n):
        y = torch.randint(0, classes, (32,), generator=g)
        yield centres[y] + noise * torch.randn(32, 12, generator=g), y


def descend(model, optimizer, loss_fn, batches):
    for x, y in batches:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()


def sgd(model, lr=0.1, **settings):
    return torch.optim.SGD(model.parameters(), lr=lr, **settings)


# Nothing of the loop's is touched.


def test_a_model_saved_whole_inside_a_watch_loads_without_steepest(tmp_path):
    model, file = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.1)), tmp_path / "model.pt"
    with sp.watch(model, CE(), sgd(model)):
        torch.save(model, file)
    program = (
        f"import sys, torch; m = torch.load({str(file)!r}, weights_only=False); "
        "m(torch.ones(1, 3)); sys.exit('steepest' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_loss_that_draws_and_counts_gives_the_same_bits_and_counts():
    def train(watched):
        calls = 0

        def noisy(z, y):
            nonlocal calls
            calls += 1
            return F.cross_entropy(z + 0.1 * torch.randn_like(z), y)

        model = net(0.2)
        optimizer = sgd(model)
        w = sp.watch(model, noisy, optimizer)
        torch.manual_seed(5)
        if watched:
            with w:
                descend(model, optimizer, noisy, minibatches())
            assert w.problem == ""
        else:
            descend(model, optimizer, noisy, minibatches())
        return calls, [*model.state_dict().values(), torch.rand(1)]

    (plain_calls, plain), (calls, found) = train(False), train(True)
    assert calls == plain_calls == 60
    assert all(torch.equal(a, b) for a, b in zip(plain, found, strict=True))


def test_sparse_gradients_are_looked_at_like_others():
    model = nn.Sequential(nn.EmbeddingBag(50, 8, sparse=True), nn.Linear(8, 3))
    optimizer = sgd(model)
    torch.manual_seed(0)
    with sp.watch(model, CE(), optimizer) as w:
        for _ in range(6):
            x = torch.randint(0, 50, (16, 5))
            CE()(model(x), x[:, 0] % 3).backward()
            optimizer.step()
    assert w.problem == ""
    assert w.findings.codes == ["NO_ZERO_GRAD"]


# Silent.


def test_a_copy_of_a_watched_model_is_another_model():
    model = net(0.3)
    optimizer, loss_fn = sgd(model), CE()
    with sp.watch(model, loss_fn, optimizer) as w:
        teacher = copy.deepcopy(model)
        for x, y in minibatches():
            descend(model, optimizer, loss_fn, [(x, y)])
            with torch.no_grad():
                teacher(x + 1)
    assert w.findings.actionable.codes == []


def test_rows_evaluated_with_gradients_switched_on_are_no_training_in_eval_mode():
    model = net(0.3)
    optimizer, loss_fn = sgd(model), CE()
    with sp.watch(model, loss_fn, optimizer) as w:
        for _ in range(3):
            model.train()
            descend(model, optimizer, loss_fn, minibatches(30))
            model.eval()
            for x, y in minibatches(8):
                loss_fn(model(x), y)
    assert w.findings.actionable.codes == []
    assert [e.rows for e in w._trace.evaluations] == [8 * 32] * 3


@pytest.mark.parametrize("classes", [2, 20])
def test_many_forward_passes_for_one_backward_pass(classes):
    torch.manual_seed(0)
    model = nn.Linear(12, classes)
    optimizer, loss_fn = sgd(model, 0.01), CE()
    with sp.watch(model, loss_fn, optimizer) as w:
        for _ in range(20):
            optimizer.zero_grad()
            views = [(torch.randn(16, 12), torch.full((16,), k % classes)) for k in range(30)]
            sum(loss_fn(model(x), y) for x, y in views).backward()
            optimizer.step()
    assert w.findings.actionable.codes == []


def test_pairs_and_a_loss_of_three_arguments():
    model, loss_fn = net(), nn.CosineEmbeddingLoss()
    optimizer = sgd(model, 0.05)
    with sp.watch(model, loss_fn, optimizer) as w:
        for x, y in minibatches():
            same = 2 * (y == y.flip(0)).float() - 1
            optimizer.zero_grad()
            loss_fn(model(x), model(x.flip(0)), same).backward()
            optimizer.step()
    assert w.findings.actionable.codes == []


def test_adversarial_training_of_two_nets():
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    of_g, of_d = (torch.optim.Adam(m.parameters(), lr=1e-3) for m in (G, D))
    loss_fn, one, zero = nn.BCEWithLogitsLoss(), torch.ones(32, 1), torch.zeros(32, 1)
    with sp.watch(D, loss_fn, of_d) as w:
        for _ in range(60):
            fake = G(torch.randn(32, 4))
            of_d.zero_grad()
            (loss_fn(D(torch.randn(32, 2) + 2), one) + loss_fn(D(fake.detach()), zero)).backward()
            of_d.step()
            of_g.zero_grad()
            loss_fn(D(fake), one).backward()
            of_g.step()
    assert w.findings.actionable.codes == []


def test_statistics_of_batch_norm_taken_anew():
    model, loss_fn = net(0.2, norm=True), CE()
    optimizer = sgd(model)
    with sp.watch(model, loss_fn, optimizer) as w:
        descend(model, optimizer, loss_fn, minibatches())
        torch.optim.swa_utils.update_bn([x for x, _ in minibatches(8)], model)
    assert w.findings.actionable.codes == []


def test_averages_of_the_weights_put_back_are_no_reset():
    model, loss_fn = net(), CE()
    optimizer = sgd(model)
    slow = [p.detach().clone() for p in model.parameters()]
    with sp.watch(model, loss_fn, optimizer) as w:
        for i, batch in enumerate(minibatches()):
            descend(model, optimizer, loss_fn, [batch])
            if i % 5 == 4:
                with torch.no_grad():
                    for p, s in zip(model.parameters(), slow, strict=True):
                        p.copy_(s.add_(p - s, alpha=0.5))
    assert w.findings.actionable.codes == []


def test_a_spike_of_the_rate_is_no_schedule_that_collapsed():
    model, loss_fn = net(), CE()
    optimizer = sgd(model, 0.01)
    with sp.watch(model, loss_fn, optimizer) as w:
        for i, batch in enumerate(minibatches(120)):
            optimizer.param_groups[0]["lr"] = 100.0 if i == 10 else 0.01
            descend(model, optimizer, loss_fn, [batch])
    assert "SCHEDULE_COLLAPSE" not in w.findings.codes


# Named.


def test_a_closure_that_clears_no_gradients():
    model, loss_fn = net(), CE()
    optimizer = sgd(model, 0.05)
    with sp.watch(model, loss_fn, optimizer) as w:
        for x, y in minibatches(20):

            def closure(x=x, y=y):
                loss = loss_fn(model(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)
    assert w.findings.codes[0] == "NO_ZERO_GRAD"


def test_weights_set_anew_each_epoch():
    model, loss_fn = net(), CE()
    optimizer = sgd(model, momentum=0.9)
    start = copy.deepcopy(model.state_dict())
    with sp.watch(model, loss_fn, optimizer) as w:
        for _ in range(4):
            model.load_state_dict(start)
            descend(model, optimizer, loss_fn, minibatches(20))
    assert w.findings.codes[0] == "STATE_RESET"


def test_weights_set_anew_between_two_looks():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    first = copy.deepcopy(model.state_dict())
    with sp.watch(model, CE(), optimizer) as w:
        descend(model, optimizer, w._judge._setup.loss_fn, minibatches(70))
        assert not w._hooks.looking
        model.load_state_dict(first)
        descend(model, optimizer, w._judge._setup.loss_fn, minibatches(5))
    assert "STATE_RESET" in [f.code for f in w.findings]


def test_rows_evaluated_between_two_looks_are_seen_with_their_loss():
    model, loss_fn = net(), CE()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with sp.watch(model, loss_fn, optimizer) as w:
        descend(model, optimizer, loss_fn, minibatches(70))
        assert not loss_fn._forward_hooks
        model.eval()
        with torch.no_grad():
            losses = [float(loss_fn(model(x), y)) for x, y in minibatches(3)]
        model.train()
        descend(model, optimizer, loss_fn, minibatches(5))
        assert not loss_fn._forward_hooks
    (evaluation,) = w._trace.evaluations
    assert evaluation.rows == 96
    assert evaluation.loss == pytest.approx(sum(losses) / 3)


def test_units_that_died_on_the_way():
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(0)
    A = torch.randn(12, 3, generator=g)
    wide = [nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)]
    model, loss_fn = nn.Sequential(*wide), CE()
    optimizer = sgd(model, 0.05)
    with sp.watch(model, loss_fn, optimizer) as w:
        for i in range(420):
            x = 2 * torch.rand(32, 12, generator=g)
            y = ((x - 1) @ A + 0.5 * torch.randn(32, 3, generator=g)).argmax(1)
            optimizer.param_groups[0]["lr"] = 100.0 if i == 100 else 0.05
            descend(model, optimizer, loss_fn, [(x, y)])
    alive = int((model[:-1](x) > 0).any(0).sum())
    assert alive <= 16, "the program is meant to lose its units"
    assert w.findings.codes[0] == "DEAD_RELU"


@pytest.mark.parametrize("loss_fn", [F.cross_entropy, lambda z, y: F.cross_entropy(z, y)])
@pytest.mark.parametrize(("lr", "sign", "code"), [(200.0, 1, "LR_TOO_HIGH"), (0.01, -1, "ASCENT")])
def test_faults_under_a_loss_that_is_a_function(loss_fn, lr, sign, code):
    model = net()
    optimizer = sgd(model, lr)
    with sp.watch(model, loss_fn, optimizer) as w:
        descend(model, optimizer, lambda z, y: sign * loss_fn(z, y), minibatches())
    assert w.findings.codes[0] == code


@pytest.mark.parametrize("loss_fn", [nn.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits])
def test_one_output_squeezed_before_its_loss(loss_fn):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = sgd(model, 1e-7)
    with sp.watch(model, loss_fn, optimizer) as w:
        for x, y in minibatches(420):
            optimizer.zero_grad()
            loss_fn(model(x).squeeze(1), (y > 0).float()).backward()
            optimizer.step()
    assert w.findings.codes[0] == "LR_TOO_LOW"


# What the report says.


def test_what_could_not_be_looked_at_is_said(monkeypatch):
    monkeypatch.delenv(SWITCH)
    model, loss_fn = net(), CE()
    w = sp.watch(model, loss_fn, sgd(model))
    monkeypatch.setattr(w._observer, "_note_reset", lambda optimizer: 1 / 0)
    with w:
        descend(model, w._trace.optimizers[0].optimizer, loss_fn, minibatches(3))
    assert "not all could be looked at: ZeroDivisionError" in w.report()


def test_a_watched_model_can_be_pickled_and_goes_on_to_be_watched():
    model, loss_fn = net(), CE()
    optimizer = sgd(model)
    with sp.watch(model, loss_fn, optimizer) as w:
        torch.save({"model": model, "optimizer": optimizer.state_dict()}, io.BytesIO())
        descend(model, optimizer, loss_fn, minibatches(10))
    assert w._trace.backwards == 10


@pytest.mark.parametrize("told", [False, True])
def test_layers_that_are_thawed_in_mid_run_and_not_given_to_the_optimizer(told):
    model = net()
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 1e-3)
    with sp.watch(model, CE(), optimizer) as w:
        descend(model, optimizer, CE(), minibatches(30))
        model[0].requires_grad_(True)
        if told:
            optimizer.add_param_group({"params": model[0].parameters()})
        descend(model, optimizer, CE(), minibatches(150))
    assert ("PARAMS_NOT_IN_OPTIMISER" in w.findings.codes) is not told


def test_thawed_layers_of_which_another_optimizer_takes_care_are_no_fault():
    model = net()
    model[0].requires_grad_(False)
    optimizer, other = (torch.optim.SGD(model[k].parameters(), 0.1) for k in (3, 0))
    with sp.watch(model, CE(), optimizer) as w:
        descend(model, optimizer, CE(), minibatches(30))
        model[0].requires_grad_(True)
        for x, y in minibatches(150):
            model.zero_grad()
            CE()(model(x), y).backward()
            optimizer.step()
            other.step()
    assert "PARAMS_NOT_IN_OPTIMISER" not in w.findings.codes
