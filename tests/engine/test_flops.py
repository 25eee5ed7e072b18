"""The estimate of a forward pass's arithmetic, against a pencil."""

import pytest
import torch
from torch import nn

from steepest.engine import FlopCounter


def counted(model, batch):
    with FlopCounter(model) as counter:
        model(batch)
    return counter.flops(len(batch))


def test_a_linear_layer_multiplies_its_weights_once_a_row_and_once_a_token():
    assert counted(nn.Linear(5, 3, bias=False), torch.zeros(4, 5)) == 2 * 15
    assert counted(nn.Linear(5, 3), torch.zeros(4, 7, 5)) == 2 * 15 * 7


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_multiplies_them_once_a_pixel(groups):
    model = nn.Sequential(nn.Conv2d(2, 6, 5, padding=2, stride=2, groups=groups), nn.ReLU())
    assert counted(model, torch.zeros(3, 2, 16, 16)) == 2 * (2 // groups * 25) * 6 * 64


def test_an_embedding_multiplies_nothing_and_the_hooks_are_gone():
    model = nn.Sequential(nn.Embedding(1000, 4), nn.Flatten(), nn.Linear(8, 2, bias=False))
    assert counted(model, torch.zeros(3, 2, dtype=torch.int64)) == 2 * 16
    assert not any(m._forward_hooks for m in model.modules())
