"""SATURATED says of the weights what it says at any learning rate."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp


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
