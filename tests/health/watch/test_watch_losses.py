"""Several losses and backward passes a step, gradients of the inputs: nobody is alarmed."""

import pytest
import torch
from torch import nn

import steepest as sp
from faults.case import run
from faults.programs import programs

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.HealthWarning")


def case_of(name):
    return programs(["controls"], [name])[0].case(0)


@pytest.mark.parametrize("name", ["C47", "C49", "C50", "C52", "C53", "C54", "C57", "C60"])
def test_a_loop_with_more_than_one_backward_pass_is_no_fault(name):
    case = case_of(name)
    with sp.watch(case.model, case.loss_fn, case.optimizer) as w:
        run(case, w, epochs=3)
    assert w.problem == ""
    assert w.findings.actionable.codes == []


@pytest.mark.parametrize("name", ["C48", "C58", "C59"])
def test_what_the_loss_given_leaves_out_is_no_fault(name):
    case = case_of(name)
    found = sp.check(case.model, case.loss_fn, case.optimizer, case.train_loader, seconds=1)
    assert found.actionable.codes == []


def trained_with(gradient_step, steps=12):
    torch.manual_seed(0)
    X = torch.randn(320, 6)
    y = X[:, :3].argmax(1)
    model, loss_fn = nn.Linear(6, 3), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with sp.watch(model, loss_fn, optimizer) as w:
        for k in range(steps):
            rows = slice(32 * (k % 10), 32 * (k % 10) + 32)
            optimizer.zero_grad()
            gradient_step(loss_fn, model, X[rows], y[rows])
            optimizer.step()
    return w


def test_the_losses_of_one_pass_add_up_to_its_sign():
    def up_and_further_up(loss_fn, model, x, y):
        z = model(x)
        (-loss_fn(z, y)).backward(retain_graph=True)
        (-0.1 * loss_fn(z, y)).backward()

    def mostly_down(loss_fn, model, x, y):
        z = model(x)
        loss_fn(z, y).backward(retain_graph=True)
        (-0.5 * loss_fn(z, y)).backward()

    assert "ASCENT" in trained_with(up_and_further_up).findings.codes
    assert trained_with(mostly_down).findings.codes == []


def test_what_an_attack_leaves_is_not_taken_for_training():
    def attacked(loss_fn, model, x, y):
        moved = x.clone().requires_grad_()
        (-100 * loss_fn(model(moved), y)).backward()
        model.zero_grad()
        loss_fn(model((x - 0.01 * moved.grad.sign()).detach()), y).backward()

    w = trained_with(attacked)
    assert w._trace.backwards == 24
    assert len(w._trace.losses) == 12
    assert w.findings.codes == []
