"""A rate that is gone early is told where more steps at the highest one would bring much."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.errors import HealthWarning

EPOCHS = 20


def watched(schedule, hidden=64, separation=1.0):
    torch.manual_seed(0)
    centres = 2 * torch.randn(4, 12)
    y = torch.randint(0, 4, (1600,))
    X = separation * centres[y] + 2 * torch.randn(1600, 12)
    loader = DataLoader(TensorDataset(X, y), 64, shuffle=True)
    model = nn.Sequential(nn.Linear(12, hidden), nn.ReLU(), nn.Linear(hidden, 4))
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.02)
    step = schedule(optimizer)
    with sp.watch(model, loss_fn, optimizer, loader) as w:
        for _ in range(EPOCHS):
            hits = 0
            for x, t in loader:
                optimizer.zero_grad()
                z = model(x)
                loss_fn(z, t).backward()
                optimizer.step()
                hits += int((z.argmax(1) == t).sum())
            step(hits / len(X))
    return w.findings


def by_epoch(scheduler):
    return lambda _: scheduler.step()


def test_a_plateau_that_waits_for_an_accuracy_to_fall_is_told():
    with pytest.warns(HealthWarning, match="SCHEDULE_COLLAPSE"):
        found = watched(lambda o: ReduceLROnPlateau(o, factor=0.1, patience=0).step)
    (finding,) = found.actionable
    assert (finding.code, finding.confidence) == ("SCHEDULE_COLLAPSE", "confirmed")
    assert "ReduceLROnPlateau" in finding.fix


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: ReduceLROnPlateau(o, mode="max", factor=0.1, patience=0).step,
        lambda o: by_epoch(CosineAnnealingLR(o, EPOCHS)),
        lambda o: by_epoch(MultiStepLR(o, [10, 11, 12, 13])),
        lambda o: lambda _: None,
    ],
    ids=["plateau", "cosine", "late", "constant"],
)
def test_schedules_that_end_when_it_is_time_are_silent(schedule):
    assert "SCHEDULE_COLLAPSE" not in watched(schedule).codes


def test_a_rate_that_is_gone_when_all_is_learned_is_silent():
    found = watched(lambda o: by_epoch(MultiStepLR(o, [4, 5, 6, 7])), separation=4.0)
    assert "SCHEDULE_COLLAPSE" not in found.codes
