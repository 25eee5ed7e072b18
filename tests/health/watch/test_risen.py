"""A rate that rises before anything is learned."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.errors import HealthWarning


def watched(highest, labels=None):
    torch.manual_seed(0)
    X = torch.randn(800, 12)
    y = X[:, :4].argmax(1) if labels is None else labels
    loader = DataLoader(TensorDataset(X, y), 32, shuffle=True)
    model = nn.Sequential(
        nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
    )
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.1, 0.9)
    cycle = OneCycleLR(
        optimizer, highest, total_steps=500, div_factor=highest / 0.004, pct_start=0.05
    )
    with sp.watch(model, loss_fn, optimizer, loader) as w:
        for _ in range(16):
            for x, t in loader:
                optimizer.zero_grad()
                loss_fn(model(x), t).backward()
                optimizer.step()
                cycle.step()
    return w.findings


def test_a_cycle_that_goes_too_high_at_once_is_named_and_not_its_dead_units():
    with pytest.warns(HealthWarning, match="LR_ROSE"):
        found = watched(20.0)
    assert (found.actionable[0].code, found.actionable[0].confidence) == ("LR_ROSE", "confirmed")


def test_neither_a_sound_cycle_nor_labels_without_signal_are_that():
    assert "LR_ROSE" not in watched(0.1).codes
    torch.manual_seed(1)
    assert "LR_ROSE" not in watched(0.1, torch.randint(0, 4, (800,))).codes
