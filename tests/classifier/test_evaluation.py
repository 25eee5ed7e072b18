"""The metrics, each against a pencil or a formula written out here."""

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.classifier.evaluation import evaluate_labels, evaluate_probabilities
from steepest.errors import DataError, TargetError

NAMES = ("a", "b", "c")
# Six rows, worked by hand: predictions a a b b c a, truth a b b b c c.
PROBABILITIES = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.5, 0.4, 0.1],
        [0.2, 0.7, 0.1],
        [0.1, 0.9, 0.0],
        [0.1, 0.2, 0.7],
        [0.6, 0.1, 0.3],
    ]
)
TRUTH = np.array([0, 1, 1, 1, 2, 2])


@pytest.fixture
def evaluation():
    return evaluate_probabilities(PROBABILITIES, TRUTH, 0.5, NAMES)


def test_counts_and_shares_are_those_of_the_pencil(evaluation):
    assert evaluation.accuracy == pytest.approx(4 / 6)
    assert evaluation.confusion == ((1, 0, 0), (1, 2, 0), (1, 0, 1))
    a, b, c = evaluation.classes
    assert (a.precision, a.recall, a.support) == (pytest.approx(1 / 3), 1, 1)
    assert (b.precision, b.recall, b.support) == (1, pytest.approx(2 / 3), 3)
    assert (c.precision, c.recall, c.support) == (1, pytest.approx(1 / 2), 2)
    assert c.f1 == pytest.approx(2 / 3)
    assert evaluation.balanced_accuracy == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)


def test_the_area_under_the_roc_curve_is_the_share_of_pairs_in_order(evaluation):
    def area(column):
        own, rest = PROBABILITIES[column == TRUTH, column], PROBABILITIES[column != TRUTH, column]
        pairs = own[:, None] - rest[None]
        return ((pairs > 0) + 0.5 * (pairs == 0)).mean()

    assert evaluation.roc_auc == pytest.approx(np.mean([area(c) for c in range(3)]))


def test_the_calibration_error_is_the_weighted_gap_in_15_bins(evaluation):
    confidence, right = PROBABILITIES.max(1), PROBABILITIES.argmax(1) == TRUTH
    bins = np.ceil(confidence * 15).astype(int)
    gaps = [
        abs(confidence[bins == b].mean() - right[bins == b].mean()) * (bins == b).sum()
        for b in np.unique(bins)
    ]
    assert evaluation.expected_calibration_error == pytest.approx(sum(gaps) / 6)


def test_classes_that_do_not_occur_are_left_out_of_the_means():
    only_a_and_b = evaluate_probabilities(PROBABILITIES[:4], TRUTH[:4], 0.5, NAMES)
    assert only_a_and_b.balanced_accuracy == pytest.approx((1 + 2 / 3) / 2)
    assert only_a_and_b.classes[2].support == 0
    one = evaluate_probabilities(PROBABILITIES[2:4], TRUTH[2:4], 0.5, NAMES)
    assert one.roc_auc is None
    assert one.accuracy == 1


def test_certain_predictions_are_calibrated_or_not():
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert (
        evaluate_probabilities(certain, np.array([0, 1]), 0, NAMES[:2]).expected_calibration_error
        == 0
    )
    assert (
        evaluate_probabilities(certain, np.array([1, 0]), 9, NAMES[:2]).expected_calibration_error
        == 1
    )


def test_an_evaluation_is_plain_data(evaluation):
    plain = evaluation.to_dict()
    assert plain["classes"][1]["name"] == "b"
    assert plain["confusion"][1] == (1, 2, 0)


@pytest.fixture
def trained(blobs):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    return sp.train(model, blobs, epochs=3, check=False, progress="none")


def test_the_loss_is_the_mean_cross_entropy_of_the_eval_mode_model(trained, blobs):
    X, y = blobs
    model = trained.model.eval()
    scaled = torch.from_numpy(trained.classifier.preprocessing.scaler.apply(X))
    expected = nn.functional.cross_entropy(model(scaled), torch.from_numpy(y)).item()
    assert trained.evaluate(blobs).loss == pytest.approx(expected, rel=1e-5)


def test_evaluating_and_predicting_leave_no_trace(trained, blobs):
    model = trained.model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    first, second = trained.evaluate(blobs), trained.evaluate(blobs)
    trained.classifier.predict(blobs[0])
    assert first == second
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_rows_without_labels_and_labels_never_seen_are_refused(trained, blobs):
    X, y = blobs
    with pytest.raises(DataError):
        trained.evaluate(X)
    with pytest.raises(TargetError) as error:
        trained.evaluate((X, y + 1))
    assert str(error.value) == (
        "(X, y): row 120 has the label 3, which no training row has; the classes are 0, 1, 2"
    )


def test_a_model_that_gives_numbers_that_are_not_finite_says_so(trained, blobs):
    with torch.no_grad():
        trained.model[0].weight.fill_(float("nan"))
    with pytest.raises(sp.SteepestError, match=r"not finite for 180 of 180 rows"):
        trained.evaluate(blobs)


def test_lists_and_single_rows_can_be_predicted(trained, blobs):
    assert trained.classifier.predict(blobs[0][:2].tolist()).shape == (2,)
    assert trained.classifier.predict_proba(blobs[0][:1]).shape == (1, 3)


def test_an_area_of_exactly_0_counts_in_the_mean_over_labels():
    """Label a in perfect order, label b in perfectly wrong order, label c in every row."""
    probabilities = np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5], [0.2, 0.8, 0.5], [0.1, 0.9, 0.5]])
    targets = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 1]])
    assert evaluate_labels(probabilities, targets, 0.5, NAMES).roc_auc == pytest.approx(0.5)
    only_wrong = evaluate_labels(probabilities[:, 1:], targets[:, 1:], 0.5, NAMES[1:])
    assert only_wrong.roc_auc == 0.0


def test_a_notebook_shows_tables_with_names_as_text_and_no_colours_of_their_own():
    names = ("<b>a", "b", "c")
    html = evaluate_probabilities(PROBABILITIES, TRUTH, 0.5, names)._repr_html_()
    assert "on 6 rows" in html
    assert "0.6667" in html  # the accuracy
    assert html.count("&lt;b&gt;a") == 3  # a class, a true class and a predicted one
    assert "<b>" not in html
    assert "color" not in html
    assert "background" not in html
    several = evaluate_labels(PROBABILITIES, np.eye(3, dtype=np.int64)[TRUTH], 0.5, names)
    assert "only predicted" in several._repr_html_()
