"""sp.train: a run that had learned and lost it is asked from its last good epoch on."""

import pytest
import torch
from torch import nn

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


def spike(begin, end, factor):
    return lambda o: schedulers.LambdaLR(o, lambda step: factor if begin <= step < end else 1.0)


SPIKES = {
    "between two looks": ({}, spike(110, 113, 2000.0)),
    "in the first epoch": (
        {"batch_size": 4, "lr": 0.005, "epochs": 1},
        spike(250, 10**9, 2000.0),
    ),
}


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("which", SPIKES)
def test_the_rates_of_all_steps_up_to_the_harm_are_taken_again(which, engine):
    settings, scheduler = SPIKES[which]
    made = {**MADE, **settings, "engine": engine, "scheduler_every": "step"}
    run = sp.train(None, "digits", scheduler=scheduler, **made)
    first = run.findings.actionable[0]
    assert (first.code, first.confidence) == ("LR_ROSE", "confirmed")
    assert "at the rates that they had" in first.evidence[0].measured
    assert float(first.evidence[0].expected.split()[0]) < 0.5  # the loss without the rise
    assert "PREMATURE_NAN" not in run.findings.actionable.codes


def test_a_warm_up_that_goes_too_high_is_asked_from_the_first_weights():
    made = {**MADE, "schedule": "cosine", "restart_every": 4, "warmup": 100, "lr": 3.0}
    run = sp.train(None, "digits", **made)
    first = run.findings.actionable[0]
    assert (first.code, first.confidence) == ("LR_TOO_HIGH", "confirmed")


class Turns(nn.Module):
    """A net that does something to itself in a step of its training; `scale` from then on."""

    def __init__(self, scale=1.0, reset=False):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        self.scale, self.reset, self.passes = scale, reset, 0

    def forward(self, x):
        self.passes += self.training
        if self.reset and self.training and self.passes == 110:
            with torch.no_grad():
                for p in self.parameters():
                    p.fill_(-100.0)  # no unit is ever above 0 again
        return self.net(x) * (self.scale if self.passes > 110 else 1.0)


def trained(net):
    return sp.train(net, "digits", **{k: v for k, v in MADE.items() if k != "hidden"})


def test_a_model_that_gives_something_else_is_named():
    first = trained(Turns(scale=0.0)).findings.actionable[0]
    assert (first.code, first.confidence) == ("FORWARD_CHANGED", "confirmed")
    measured, expected = (float(word) for word in (
        first.evidence[0].measured.split()[1], first.evidence[0].expected.split()[0].rstrip(",")
    ))  # fmt: skip
    assert measured > 2.2
    assert expected < 0.2


def test_learning_that_is_lost_without_a_known_cause_is_said():
    (finding,) = trained(Turns(reset=True)).findings.actionable
    assert (finding.code, finding.confidence) == ("LEARNING_LOST", "suspected")
    assert any("optimizer's steps" in reason for reason in finding.ruled_out)


def test_of_a_net_that_is_too_large_to_be_kept_it_is_said_too(monkeypatch):
    monkeypatch.setattr("steepest.training.rate_trials._LARGEST", 0)
    finding = trained(Turns(scale=0.0)).findings.actionable[0]
    assert (finding.code, finding.confidence) == ("LEARNING_LOST", "suspected")


def test_a_model_that_changes_and_keeps_what_it_knew_is_silent():
    assert trained(Turns(scale=1.5)).findings.actionable.codes == []


def test_a_spike_whose_harm_is_made_good_is_silent():
    made = {**MADE, "epochs": 12, "scheduler_every": "step"}
    run = sp.train(None, "digits", **made, scheduler=spike(60, 62, 60.0))
    assert run.findings.actionable.codes == []
