"""Every number of the lecture on losses, softmax, the worked example and shapes (L2 to L4, L7), regularisation (L18 to L20)."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from torch import nn, tensor

from steepest import binary_cross_entropy, cross_entropy, mlp
from steepest.objective import cross_entropy_from_probabilities

# The worked example (L3, L5): four samples, their classes, and the softmax that the slides show.
X = tensor([[-8.0, 1, -3, 5, 2], [-2, 2, -1, 5, 2], [7, 1, 9, -5, -2], [3, 1, 9, 5, 2]])
CLASSES = tensor([2, 0, 1, 2])
A3 = tensor(
    [
        [0.4358, 0.2137, 0.3505],
        [0.4785, 0.1890, 0.3325],
        [0.4795, 0.1882, 0.3324],
        [0.4797, 0.1880, 0.3323],
    ]
)


def test_softmax_and_loss_of_the_cat():
    scores = tensor([[3.2, 5.1, -1.7]])
    assert [round(e, 1) for e in scores.exp()[0].tolist()] == [24.5, 164.0, 0.2]
    assert round(scores.exp()[0, 2].item(), 2) == 0.18
    assert torch.softmax(scores, 1)[0].tolist() == pytest.approx([0.13, 0.87, 0.00], abs=5e-3)
    assert cross_entropy(scores, tensor([0])).item() == pytest.approx(2.04, abs=5e-3)


def test_ten_classes_and_tiny_scores_cost_log_ten():
    scores = 1e-4 * torch.randn(100, 10, generator=torch.Generator().manual_seed(0))
    loss = cross_entropy(scores, torch.arange(100) % 10).item()
    assert loss == pytest.approx(math.log(10), abs=1e-4)
    assert round(loss, 3) == 2.303


def test_the_kl_divergence_to_the_one_hot_truth_is_the_cross_entropy():
    truth, predicted = tensor([1.0, 0.0, 0.0]), torch.softmax(tensor([3.2, 5.1, -1.7]), 0)
    kl = torch.special.xlogy(truth, truth / predicted).sum()
    assert kl.item() == pytest.approx(-predicted[0].log().item())


def test_the_worked_example_has_its_shapes():
    layers = [nn.Linear(5, 7), nn.Linear(7, 4), nn.Linear(4, 3)]
    a1 = torch.sigmoid(layers[0](X))
    a2 = torch.sigmoid(layers[1](a1))
    a3 = torch.softmax(layers[2](a2), dim=1)
    assert [tuple(a.shape) for a in (a1, a2, a3)] == [(4, 7), (4, 4), (4, 3)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(7, 5), (4, 7), (3, 4)]


def test_the_worked_example_has_its_loss():
    assert cross_entropy_from_probabilities(A3, CLASSES).item() == pytest.approx(1.1394, abs=5e-5)
    # The slides' first cell leaves out the logarithm and the sign and so gets another number.
    one_hot = nn.functional.one_hot(CLASSES, 3)
    assert ((one_hot * A3).sum() / 4).item() == pytest.approx(0.3374, abs=5e-5)


def test_the_worked_example_has_its_gradients():
    a3 = A3.double().requires_grad_()
    cross_entropy_from_probabilities(a3, CLASSES).backward()
    true_class = a3.grad.gather(1, CLASSES[:, None])[:, 0].tolist()
    assert true_class == pytest.approx(
        [-0.7133, -0.5224, -1.3285, -0.7523], rel=3e-4
    )  # A3 has four digits
    assert int((a3.grad != 0).sum()) == 4

    z3 = A3.double().log().requires_grad_()  # logits with exactly this softmax
    cross_entropy(z3, CLASSES).backward()
    expected = tensor(
        [
            [0.1090, 0.0534, -0.1624],
            [-0.1304, 0.0473, 0.0831],
            [0.1199, -0.2030, 0.0831],
            [0.1199, 0.0470, -0.1669],
        ],
        dtype=torch.float64,
    )
    assert (z3.grad - expected).abs().max().item() < 1e-4


def test_bce_from_logits_and_from_probabilities_agree_as_in_the_slides():
    from steepest import binary_cross_entropy
    from steepest.objective import binary_cross_entropy_from_probabilities

    logits = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    truth = (torch.arange(20) % 2).long()
    ours = binary_cross_entropy(logits, truth).item()
    assert ours == pytest.approx(nn.BCEWithLogitsLoss()(logits, truth.double()).item())
    from_probabilities = binary_cross_entropy_from_probabilities(torch.sigmoid(logits), truth)
    assert from_probabilities.item() == pytest.approx(ours)


def test_the_lectures_net_has_its_parameter_shapes():
    written = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 100), nn.Tanh(), nn.Linear(100, 10))
    built = mlp(28 * 28, [100], 10, activation="tanh")
    for model in (written, built):
        shapes = [tuple(p.shape) for p in model.parameters()]
        assert shapes == [(100, 784), (100,), (10, 100), (10,)]


def example(name):
    path = Path(__file__).parents[1] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_linear_classifier_of_two_points_falls_off_a_cliff_and_l2_makes_it_cost_more():
    overfitting = example("overfitting")
    steep, gentle = overfitting.cliff(0.0), overfitting.cliff(0.01)
    x, y = torch.from_numpy(overfitting.POINTS), torch.from_numpy(overfitting.CLASSES)
    for model in (steep, gentle):
        assert ((model(x)[:, 0] > 0) == (y == 1)).all()
    assert binary_cross_entropy(steep(x), y).item() < 1e-3
    w, v = steep.weight.item(), gentle.weight.item()
    assert w > 15 > 5 > v
    # The gentle one is where data loss + 0.01 w^2 has its minimum: its gradient there is 0.
    slope = torch.tensor(v, dtype=torch.double, requires_grad=True)
    (torch.log1p(torch.exp(-slope / 2)) + 0.01 * slope**2).backward()
    assert abs(slope.grad.item()) < 1e-4


def test_l2_prefers_the_spread_weights_and_l1_does_not_care():
    w1, w2, x = tensor([1.0, 0, 0, 0]), tensor([0.25] * 4), torch.ones(4)
    assert w1 @ x == w2 @ x == 1
    assert (w1.square().sum().item(), w2.square().sum().item()) == (1, 0.25)
    assert w1.abs().sum() == w2.abs().sum() == 1
    end = example("overfitting").spread()[-1]
    assert end == pytest.approx([end.mean()] * 4, abs=0.01)
