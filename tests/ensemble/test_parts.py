"""The parts of an ensemble: folds, weights, temperature, the module's saved form."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from steepest.classifier import fitted_temperature, log_loss
from steepest.ensemble.combine import greedy_weights
from steepest.ensemble.folds import fold_of_rows
from steepest.errors import ModelError
from steepest.nn import Ensemble, build, describe


@given(st.lists(st.integers(0, 4), min_size=2, max_size=80), st.integers(2, 9), st.integers(0, 9))
def test_folds_are_even_in_rows_and_in_classes(targets, folds, seed):
    targets = np.array(targets)
    fold = fold_of_rows(targets, folds, seed)
    sizes = np.bincount(fold, minlength=min(folds, len(targets)))
    assert sizes.max() - sizes.min() <= 1
    for c in np.unique(targets):
        of_class = np.bincount(fold[targets == c], minlength=len(sizes))
        assert of_class.max() - of_class.min() <= 1


def predictions(seed, sharpness):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, 500)
    logits = sharpness * np.eye(3)[targets] + rng.standard_normal((500, 3))
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), targets


def test_greedy_weights_are_no_worse_than_equal_ones_and_leave_out_what_harms():
    good, targets = predictions(0, 2.0)
    noise = np.random.default_rng(1).dirichlet(np.ones(3), 500)

    def loss(p):
        return log_loss(p, targets, multilabel=False)

    weights = greedy_weights([good, noise], loss)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.9
    assert loss(weights[0] * good + weights[1] * noise) <= loss((good + noise) / 2)
    np.testing.assert_array_equal(greedy_weights([good], loss), [1.0])


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_the_temperature_finds_what_was_done_to_the_logits(true):
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((20_000, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.array([rng.choice(3, p=row) for row in p])
    changed = p**true / (p**true).sum(axis=1, keepdims=True)
    assert fitted_temperature(changed, targets, multilabel=False) == pytest.approx(true, rel=0.05)


def test_the_temperature_of_few_rows_stays_near_1():
    p = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert 0.7 < fitted_temperature(p, np.array([0, 0]), multilabel=False) < 1.4
    assert 0.5 < fitted_temperature(p, np.array([1, 1]), multilabel=False) < 2.0


def ensemble():
    members = [nn.Sequential(nn.Linear(2, 3)), nn.Sequential(nn.Linear(4, 3))]
    return Ensemble(members, [(0, 2), (1, 5)], weights=[0.25, 0.75], temperature=0.8)


def test_an_ensemble_is_plain_data_and_back():
    model = ensemble()
    again = build(describe(model))
    again.load_state_dict(model.state_dict())
    x = torch.randn(4, 5)
    assert torch.equal(model(x), again(x))


def test_an_ensemble_of_a_class_of_ones_own_has_no_description():
    class Own(nn.Linear):
        pass

    assert describe(Ensemble([Own(2, 2)], [(0, 2)])) is None


def test_it_exports_as_a_graph():
    model, x = ensemble(), torch.randn(4, 5)
    exported = torch.export.export(model.eval(), (x,))
    torch.testing.assert_close(exported.module()(x), model(x))


def test_tiny_probabilities_keep_their_digits():
    model = Ensemble([nn.Identity(), nn.Identity()], [(0, 3), (0, 3)])
    x = torch.tensor([[0.0, -200.0, -300.0]])
    torch.testing.assert_close(model(x), torch.log_softmax(x, 1))


@pytest.mark.parametrize(
    ("members", "spans", "closing"),
    [([], [], "softmax"), ([nn.Linear(1, 1)], [], "softmax"), ([nn.Linear(1, 1)], [(0, 1)], "max")],
)
def test_what_is_no_ensemble_is_refused(members, spans, closing):
    with pytest.raises(ModelError):
        Ensemble(members, spans, closing)


@pytest.mark.parametrize(
    "change",
    [
        {"members": []},
        {"members": 3},
        {"settings": {}},
        {"settings": {"spans": 1, "closing": "x"}},
        {"members": [{"type": "os.system", "settings": {}}]},
    ],
)
def test_a_damaged_description_is_refused(change):
    with pytest.raises(ModelError):
        build(describe(ensemble()) | change)
