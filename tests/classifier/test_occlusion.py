"""Occlusion maps, against a net of which it is known where it looks."""

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.classifier.occlusion import occlusion_map
from steepest.errors import DataError

RNG = np.random.default_rng(0)


def looking_at(top, left, side, shape):
    """A net of two classes whose second one is likelier the brighter this square is."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 2))
    weight = torch.zeros(2, *shape)
    weight[1, ..., top : top + side, left : left + side] = 1.0
    with torch.no_grad():
        net[1].weight.copy_(weight.flatten(1))
        net[1].bias.copy_(torch.tensor([0.0, -3.0]))
    return net


@pytest.mark.parametrize("shape", [(14, 21), (1, 14, 14), (3, 20, 15)])
def test_only_what_the_net_looks_at_matters(shape):
    X = RNG.integers(0, 60, (8, *shape)).astype(np.uint8)
    X[..., 4:8, 6:10] = 250
    run = sp.train(
        looking_at(4, 6, 4, shape),
        (X, np.arange(8) % 2),
        lr=1e-9,
        epochs=1,
        validation=0.0,
        progress="none",
        check=False,
    )
    found = occlusion_map(run.classifier, X[0])
    assert found.shape == shape[-2:]
    assert found[4:8, 6:10].min() > 0
    other = np.ones(found.shape, bool)
    reach = min(shape[-2:]) // 7  # of a square that covers a pixel of what matters
    other[4 - reach : 8 + reach, 6 - reach : 10 + reach] = False
    assert np.abs(found[other]).max() < 1e-6
    opposite = occlusion_map(run.classifier, X[0], run.classifier.classes.names[0])
    assert np.allclose(opposite, -found, atol=1e-6)


def test_other_rows_and_classes_are_refused():
    X = RNG.integers(0, 60, (8, 9, 9)).astype(np.uint8)
    run = sp.train(
        looking_at(0, 0, 2, (9, 9)),
        (X, np.arange(8) % 2),
        epochs=1,
        check=False,
        validation=0.0,
        progress="none",
    )
    with pytest.raises(DataError, match=r"a row of shape \(4,\) is no image"):
        occlusion_map(run.classifier, np.zeros(4))
    with pytest.raises(DataError, match="there is no class 'x'"):
        occlusion_map(run.classifier, X[0], "x")
