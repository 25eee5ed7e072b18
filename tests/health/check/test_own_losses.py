"""Losses of somebody's own: what is spread over what, and experiments with a module of one's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.health.check.broadcasting import spread

Z = torch.randn(12, 1, generator=torch.Generator().manual_seed(0))
Y = (torch.arange(12) % 2).float()


def bce(z, y):
    p = torch.sigmoid(z)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def squared(z, y):
    return ((torch.sigmoid(z) - y) ** 2).mean()


def hinge(z, y):
    return (1 - z * (2 * y - 1)).clamp_min(0).mean()


def focal(z, y):
    right = torch.where(y > 0.5, z, -z)
    return ((1 - right.sigmoid()) ** 2 * -F.logsigmoid(right)).mean()


def pairs(z, y):
    wanted = (y[:, None] > y[None]).float()
    return (wanted * F.softplus(z.T - z)).mean()


@pytest.mark.parametrize("loss", [bce, squared, hinge, focal])
def test_outputs_over_targets_are_seen_in_both_orders_and_only_then(loss):
    assert spread(loss, Z, Y).result == (12, 12)
    assert spread(loss, Z[:, 0], Y[:, None]).outputs == (12,)
    assert spread(loss, Z, Y[:, None]) is None
    assert spread(loss, Z[:, 0], Y) is None


def test_a_loss_of_pairs_is_no_fault():
    assert spread(pairs, Z, Y) is None


class Own(nn.Module):
    """A loss without `reduction`."""

    def forward(self, z, y):
        return F.cross_entropy(z, y)


def test_steps_are_taken_again_with_a_loss_that_is_a_module_of_ones_own():
    torch.manual_seed(0)
    X = torch.randn(300, 6)
    train = DataLoader(TensorDataset(X, X[:, :3].argmax(1)), 30)
    model = nn.Linear(6, 3)
    found = sp.check(model, Own(), torch.optim.SGD(model.parameters(), 1e3), train, seconds=5)
    assert found.codes[0] == "LR_TOO_HIGH"
    assert found[0].confidence == "confirmed"


def near(noise, rows=60):
    torch.manual_seed(0)
    X, V = torch.randn(400, 20), torch.randn(200, 20)
    V[:rows] = X[:rows] + noise * torch.randn(rows, 20)
    y = torch.arange(400) % 3
    parts = (TensorDataset(X, y), TensorDataset(V, y[:200]))
    model = nn.Linear(20, 3)
    return sp.check(model, F.cross_entropy, None, *(DataLoader(p, 50) for p in parts), seconds=1)


@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-2])
def test_a_trace_of_noise_hides_no_leak(noise):
    assert "TRAIN_VAL_LEAK" in near(noise).codes


def test_other_rows_are_no_leak():
    assert "TRAIN_VAL_LEAK" not in near(1.0).codes
