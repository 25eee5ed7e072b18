"""sp.train: a run that had learned and lost it is asked from its last good epoch on."""

import pytest
import torch

import steepest as sp

schedulers = torch.optim.lr_scheduler
MADE = {
    "hidden": (32,), "momentum": 0.9, "lr": 0.05, "epochs": 9, "batch_size": 64, "threads": 1,
    "check": False, "progress": "none",
}  # fmt: skip


def step_by(gamma):
    return lambda optimizer: schedulers.StepLR(optimizer, 5, gamma)


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_rate_that_rose_is_named_and_changes_no_bit(engine):
    made = {**MADE, "scheduler": step_by(60.0), "engine": engine}
    run, unwatched = (sp.train(None, "digits", watch=watch, **made) for watch in (True, False))
    (finding,) = run.findings.actionable
    assert (finding.code, finding.confidence) == ("LR_ROSE", "confirmed")
    assert "from 0.05 to 3 " in finding.message
    assert float(finding.evidence[0].expected.split()[0]) < 0.3  # the loss at the rate of before
    pairs = zip(run.model.parameters(), unwatched.model.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)


@pytest.mark.parametrize("gamma", [3.0, 0.1])
def test_a_rate_that_rises_and_does_no_harm_is_silent(gamma):
    run = sp.train(None, "digits", **MADE, scheduler=step_by(gamma))
    assert run.findings.actionable.codes == []


def test_restarts_that_come_back_are_silent():
    cycles = lambda o: schedulers.CosineAnnealingWarmRestarts(o, 3)  # noqa: E731
    run = sp.train(None, "digits", **{**MADE, "lr": 0.3}, scheduler=cycles)
    assert run.findings.actionable.codes == []
