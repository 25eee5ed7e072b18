"""Labels and loss of a step from the gradient of its logits."""

import pytest
import torch
from torch.nn import functional as F

from steepest.health.watch.reading import cross_entropy_of


def gradient(loss, z):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(loss(z), z)[0]


@pytest.mark.parametrize("C", [2, 3, 10, 100])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("sign", [1, -1])
def test_cross_entropy_is_read_exactly(C, scale, reduction, sign):
    torch.manual_seed(C)
    z, y = scale * torch.randn(64, C), torch.randint(0, C, (64,))
    found = cross_entropy_of(
        z, gradient(lambda z: sign * F.cross_entropy(z, y, reduction=reduction), z)
    )
    assert found is not None
    assert torch.equal(found.target, y)
    assert found.loss == pytest.approx(float(F.cross_entropy(z, y)))
    assert found.ascending == (sign < 0)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("shape", [(64,), (64, 1)])
def test_binary_cross_entropy_is_read_exactly(scale, shape):
    torch.manual_seed(0)
    z, y = scale * torch.randn(shape), (torch.rand(shape) < 0.5).float()
    found = cross_entropy_of(z, gradient(lambda z: F.binary_cross_entropy_with_logits(z, y), z))
    assert found is not None
    assert torch.equal(found.target, y.reshape(-1))
    assert found.loss == pytest.approx(float(F.binary_cross_entropy_with_logits(z, y)))
    assert not found.ascending


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize(
    "loss",
    [
        lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
        lambda z, y: F.multi_margin_loss(z, y),
        lambda z, y: F.mse_loss(z.softmax(1), F.one_hot(y, 5).float()),
        lambda z, y: F.mse_loss(z, F.one_hot(y, 5).float()),
        lambda z, y: F.cross_entropy(z.softmax(1), y),
    ],
    ids=["smoothed", "margin", "squares of probabilities", "squares", "double softmax"],
)
def test_other_losses_are_not_read(loss, scale):
    torch.manual_seed(0)
    z, y = scale * torch.randn(64, 5), torch.randint(0, 5, (64,))
    assert cross_entropy_of(z, gradient(lambda z: loss(z, y), z)) is None


def test_a_gradient_that_is_zero_or_not_finite_says_nothing():
    z = torch.randn(8, 3)
    assert cross_entropy_of(z, torch.zeros(8, 3)) is None
    assert cross_entropy_of(z, torch.full((8, 3), torch.nan)) is None
