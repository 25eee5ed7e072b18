"""How many threads the torch engine takes where the recipe names none."""

import torch
from torch import nn

from steepest.data import Preprocessing, Samples
from steepest.engine import Plan
from steepest.engine.torch import _threads_worth
from steepest.objective import Objective
from steepest.recipe import Recipe


def threads(model, *shape):
    inputs = torch.zeros(4, *shape).numpy()
    samples = Samples(inputs, None, "test")
    rows = Preprocessing.fit(samples, "none", (0.0, 1.0)).prepare(samples)
    targets = torch.zeros(4, dtype=torch.int64).numpy()
    return _threads_worth(Plan(model, Objective("multiclass"), rows, targets, Recipe()))


def test_a_small_net_of_linear_layers_stays_on_one(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert threads(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), 3) == 1


def test_weights_used_many_times_a_row_take_torchs_own_number(monkeypatch):
    """A LeNet has most of its weights in linear layers, and most of its work in convolutions."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 100))
    assert threads(model, 1, 8, 8) == 7
