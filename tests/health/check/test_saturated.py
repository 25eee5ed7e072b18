"""SATURATED says of the weights what it says at any learning rate."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.health.check.probe_pass import _activation_before


def checked(deviation, activation, optimizer, lr):
    torch.manual_seed(0)
    X = torch.randn(600, 8)
    loader = DataLoader(TensorDataset(X, X[:, :3].argmax(1)), 32, shuffle=True)
    layers = nn.Linear(8, 32), activation(), nn.Linear(32, 32), activation(), nn.Linear(32, 3)
    model = nn.Sequential(*layers)
    for layer in (model[0], model[2]) if deviation else ():
        nn.init.normal_(layer.weight, std=deviation)
    own = optimizer(model.parameters(), lr)
    return sp.check(model, nn.CrossEntropyLoss(), own, loader, seconds=30)


# Before, by steps at these rates: found, found, found, missed, missed of tanh with plain descent,
# and of a sigmoid at 0.3 alone.
@pytest.mark.parametrize("lr", [0.3, 0.1, 0.03, 0.01, 0.001])
@pytest.mark.parametrize(
    ("deviation", "activation", "optimizer"),
    [
        (3.0, nn.Tanh, torch.optim.SGD),
        (30.0, nn.Tanh, torch.optim.Adam),
        (30.0, nn.Sigmoid, torch.optim.SGD),
    ],
)
def test_it_is_found_at_every_rate(deviation, activation, optimizer, lr):
    finding = checked(deviation, activation, optimizer, lr).actionable[0]
    assert (finding.code, finding.confidence) == ("SATURATED", "confirmed")


@pytest.mark.parametrize("lr", [0.3, 0.01, 0.001])
def test_a_sound_start_is_silent_at_every_rate(lr):
    assert "SATURATED" not in checked(None, nn.Tanh, torch.optim.SGD, lr).codes


class Cell(nn.Module):
    """A cell called in a loop, with states made by hand: at first they are near 0."""

    def __init__(self):
        super().__init__()
        self.cell, self.fc = nn.LSTMCell(4, 32), nn.Linear(32, 3)

    def forward(self, x):
        h = c = torch.zeros(len(x), 32)
        for part in x.unbind(1):
            h, c = self.cell(0.05 * part, (h, c))
        return self.fc(h)


def test_a_gate_s_product_lies_at_no_bounds():
    torch.manual_seed(0)
    X = torch.randn(600, 5, 4)
    loader = DataLoader(TensorDataset(X, X[:, 4, :3].argmax(1)), 32, shuffle=True)
    model = Cell()
    own = torch.optim.Adam(model.parameters(), 5e-3)
    found = sp.check(model, nn.CrossEntropyLoss(), own, loader, seconds=30)
    assert "SATURATED" not in found.codes
    assert not found.errors


def test_through_what_the_activation_before_a_layer_is_seen():
    x = torch.randn(5, 4, requires_grad=True)
    gate, mask = torch.sigmoid(x), torch.ones(5, 4)
    assert [_activation_before(one) for one in (gate * mask, mask * gate)] == ["Sigmoid"] * 2
    assert _activation_before(nn.functional.dropout(gate).reshape(4, 5)) == "Sigmoid"
    assert _activation_before(gate * torch.tanh(x)) == "Mul"
