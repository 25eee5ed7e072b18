"""The losses agree with the lecture, with PyTorch, with float64, and stay finite at +-1e4."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, tensor

from steepest import binary_cross_entropy, cross_entropy
from steepest.errors import ModelError, TargetError
from steepest.objective import (
    Objective,
    binary_cross_entropy_from_probabilities,
    cross_entropy_from_probabilities,
)

LOGITS = st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3)


def exact_cross_entropy(row, target):
    """-log softmax in Python's own arithmetic: log sum exp by shifting the largest to 0."""
    top = max(row)
    return math.log(math.fsum(math.exp(z - top) for z in row)) + top - row[target]


@given(st.lists(LOGITS, min_size=1, max_size=5), st.integers(0, 2))
def test_cross_entropy_equals_the_formula_for_any_finite_logits(rows, target):
    targets = torch.full((len(rows),), target)
    expected = math.fsum(exact_cross_entropy(row, target) for row in rows) / len(rows)
    assert cross_entropy(tensor(rows), targets).item() == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )
    exact = cross_entropy(tensor(rows, dtype=torch.float64), targets).item()
    assert exact == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=5), st.integers(0, 1))
def test_binary_cross_entropy_is_the_two_class_case(logits, target):
    z, y = tensor(logits, dtype=torch.float64), torch.full((len(logits),), target)
    two_columns = torch.stack([torch.zeros_like(z), z], dim=1)
    assert binary_cross_entropy(z, y).item() == pytest.approx(
        cross_entropy(two_columns, y).item(), rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_losses_and_gradients_are_finite_and_right_at_large_logits(size):
    z = tensor([[size, 0.0, 0.0]], requires_grad=True)
    cross_entropy(z, tensor([0])).backward()
    p = torch.softmax(z.detach(), dim=1)
    assert torch.allclose(z.grad, p - tensor([[1.0, 0.0, 0.0]]))
    b = tensor([size], requires_grad=True)
    loss = binary_cross_entropy(b, tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(max(-size, 0.0))
    assert b.grad.item() == pytest.approx(0.0 if size > 0 else -1.0)


def test_the_probability_forms_agree_with_the_logit_forms():
    torch.manual_seed(0)
    z, y = torch.randn(50, 4, dtype=torch.float64), torch.randint(0, 4, (50,))
    from_probabilities = cross_entropy_from_probabilities(torch.softmax(z, 1), y)
    assert torch.allclose(from_probabilities, cross_entropy(z, y))
    b, t = torch.randn(50, 1, dtype=torch.float64), torch.randint(0, 2, (50,))
    assert torch.allclose(
        binary_cross_entropy_from_probabilities(torch.sigmoid(b), t), binary_cross_entropy(b, t)
    )


def test_the_probability_forms_stay_finite_at_0_and_1():
    certain = tensor([[1.0, 0.0]])
    assert cross_entropy_from_probabilities(certain, tensor([1])).item() == 100
    assert binary_cross_entropy_from_probabilities(tensor([1.0]), tensor([0])).item() == 100


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_target_out_of_range_is_named_with_its_row(wrong):
    with pytest.raises(TargetError) as error:
        cross_entropy(torch.zeros(3, 3), tensor([0, wrong, 9]))
    assert str(error.value) == (
        f"the target of row 1 is {wrong}, but with 3 classes it must be one of 0 .. 2"
    )


class TestObjectiveOfOutputs:
    """Which loss fits is read off the outputs' shape and last operation."""

    @pytest.mark.parametrize(
        ("last", "width", "classes", "expected"),
        [
            ([], 10, 10, Objective("multiclass", "logits")),
            ([], 2, 2, Objective("multiclass", "logits")),
            ([], 1, 2, Objective("binary", "logits")),
            ([nn.Softmax(dim=1)], 3, 3, Objective("multiclass", "probabilities")),
            ([nn.LogSoftmax(dim=1)], 3, 3, Objective("multiclass", "logits")),
            ([nn.Sigmoid()], 1, 2, Objective("binary", "probabilities")),
            ([nn.Sigmoid(), nn.Flatten(0)], 1, 2, Objective("binary", "probabilities")),
        ],
    )
    def test_it_fits_the_model(self, last, width, classes, expected):
        model = nn.Sequential(nn.Linear(4, width), *last)
        assert Objective.of_outputs(model(torch.randn(2, 4)), classes) == expected

    @pytest.mark.parametrize(
        ("outputs", "classes", "message"),
        [
            (
                torch.zeros(2, 3),
                4,
                r"must give logits of shape \(N, 4\) for N rows, but it gives \(N, 3\)",
            ),
            (torch.zeros(2, 1), 3, r"shape \(N, 3\) for N rows, but it gives \(N, 1\)"),
            (torch.zeros(2, 3), 2, r"shape \(N, 2\) or \(N, 1\) for N rows, but it gives \(N, 3\)"),
            (torch.zeros(2, 3, 5), 3, r"but it gives \(N, 3, 5\)"),
            (torch.zeros(2, 3, requires_grad=True).sigmoid(), 3, "ends in a sigmoid but gives 3"),
            (torch.zeros(2, 1, requires_grad=True).softmax(1), 2, "softmax over one output"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, outputs, classes, message):
        with pytest.raises(ModelError, match=message):
            Objective.of_outputs(outputs, classes)

    def test_probabilities_are_rows_that_sum_to_one(self):
        for objective, outputs in [
            (Objective("multiclass"), torch.randn(5, 3) * 1e4),
            (Objective("binary"), torch.randn(5, 1) * 1e4),
            (Objective("binary", "probabilities"), torch.rand(5, 1)),
        ]:
            p = objective.probabilities(outputs)
            assert torch.allclose(p.sum(1), torch.ones(5, dtype=torch.float64))
            assert torch.equal(p.argmax(1), objective.predictions(outputs))
