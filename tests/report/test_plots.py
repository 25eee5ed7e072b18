"""Plots draw the numbers of the record, and are files that can be looked at."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

import steepest as sp
from steepest.report import (
    best_epoch,
    most_confident_mistakes,
    plot_calibration,
    plot_confusion,
    plot_curves,
    plot_gap,
    plot_layers,
    plot_learning_rate,
    plot_mistakes,
    plot_range_test,
    save_curves,
    theme,
)
from steepest.report.axes import colours, new_axes


@pytest.fixture(scope="module")
def run():
    """A short run on the digits, which makes some mistakes."""
    settings = {"hidden": (16,), "lr": 0.05, "epochs": 4, "log_every": 5, "test": 0.3}
    return sp.train(None, sp.load_data("digits"), progress="none", **settings)


def luminance(colour):
    """Relative luminance of WCAG 2."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (
        0.2126,
        0.7152,
        0.0722,
    )


def test_curves_show_the_history_and_the_best_epoch(run, tmp_path):
    for quantity in ("loss", "acc"):
        ax = plot_curves(run.history, quantity, Figure().subplots())
        train, validation, best = ax.lines
        assert train.get_ydata().tolist() == run.history[f"train_{quantity}"].to_list()
        assert validation.get_ydata().tolist() == run.history[f"val_{quantity}"].to_list()
        assert best.get_xdata()[0] == run.history["val_loss"].arg_min()
    with Image.open(save_curves(run, tmp_path / "curves.png")) as picture:
        assert picture.size[0] > 1000


def test_without_a_validation_part_there_is_one_curve(blobs):
    run = sp.train(None, blobs, hidden=(8,), epochs=2, validation=0.0, progress="none")
    assert len(plot_curves(run.history, "acc").lines) == 1
    assert best_epoch(run.history) is None


def test_the_gap_is_validation_less_training_loss(run):
    line = plot_gap(run.history).lines[0]
    expected = run.history["val_loss"] - run.history["train_loss"]
    assert line.get_ydata().tolist() == expected.to_list()


def test_the_learning_rate_is_that_of_the_intervals(blobs):
    run = sp.train(None, blobs, epochs=3, schedule="cosine", log_every=1, progress="none")
    (line,) = plot_learning_rate(run.intervals).lines
    assert line.get_ydata().tolist() == run.intervals["lr"].to_list()
    assert line.get_ydata()[-1] < line.get_ydata()[0]


@pytest.mark.parametrize("quantity", ["weight_norm", "gradient_norm", "update_ratio", "inactive"])
def test_each_layer_has_a_line_of_its_own(run, quantity):
    lines = {line.get_label(): line for line in plot_layers(run.layers, quantity).lines}
    names = run.layers["name"].unique(maintain_order=True).to_list()
    assert len(names) == 2
    for name in names:
        recorded = run.layers.filter(run.layers["name"] == name)[quantity].to_list()
        assert lines[name].get_ydata().tolist() == recorded


def test_the_confusion_matrix_shows_its_counts(run):
    evaluation = run.evaluate()
    ax = plot_confusion(evaluation)
    shown = [int(text.get_text()) for text in ax.texts]
    assert shown == [n for row in evaluation.confusion for n in row]
    shares = ax.images[0].get_array()
    assert shares[3, 3] == pytest.approx(evaluation.classes[3].recall)
    assert [t.get_text() for t in ax.get_yticklabels()] == [c.name for c in evaluation.classes]


def test_the_reliability_diagram_is_that_of_the_predictions(run):
    evaluation = run.evaluate()
    ax = plot_calibration(evaluation)
    curve = next(line for line in ax.lines if line.get_label().startswith("accuracy"))
    probabilities = run.classifier.predict_proba(run.dataset.test)
    right = run.classifier.predict(run.dataset.test) == run.dataset.test.labels
    confidence = probabilities.max(axis=1)
    last = confidence > 14 / 15
    assert curve.get_xdata()[-1] == pytest.approx(confidence[last].mean())
    assert curve.get_ydata()[-1] == pytest.approx(right[last].mean())
    assert sum(b.rows for b in evaluation.calibration) == evaluation.rows


def test_the_mistakes_are_wrong_and_the_most_confident_first(run):
    test = run.dataset.test
    mistakes = most_confident_mistakes(run.classifier, test, count=10_000)
    probabilities = run.classifier.predict_proba(test)
    predictions = run.classifier.predict(test)
    assert {m.row for m in mistakes} == set(np.flatnonzero(predictions != test.labels).tolist())
    assert [m.probability for m in mistakes] == sorted(m.probability for m in mistakes)[::-1]
    for m in mistakes:
        assert m.true == str(test.labels[m.row])
        assert m.probability == probabilities[m.row].max()
        assert (m.inputs == test.inputs[test.rows[m.row]]).all()


def test_mistakes_on_images_are_drawn_as_images():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 3, 8, 8)).astype(np.uint8)
    labels = np.arange(60) % 3
    run = sp.train(None, (images, labels), epochs=1, progress="none")
    mistakes = most_confident_mistakes(run.classifier, (images, labels[::-1]), count=5)
    ax = plot_mistakes(mistakes)
    assert len(ax.images) == 5
    expected = images[mistakes[0].row].transpose(1, 2, 0) / 255
    assert np.allclose(ax.images[0].get_array(), expected)
    assert f"{mistakes[0].true} → {mistakes[0].predicted}" in ax.texts[0].get_text()


def test_mistakes_of_a_table_are_shown_as_a_table(table):
    run = sp.train(None, sp.load_data(table, target="churned"), epochs=2, progress="none")
    mistakes = most_confident_mistakes(run.classifier, sp.load_data(table, target="churned").train)
    assert mistakes
    cells = plot_mistakes(mistakes).tables[0].get_celld()
    assert cells[1, 0].get_text().get_text() == str(mistakes[0].row)
    assert cells[1, 2].get_text().get_text() == mistakes[0].predicted


def test_without_mistakes_the_plot_says_so():
    assert plot_mistakes([]).texts[0].get_text() == "no mistakes"


def test_names_with_dollars_are_text_not_formulas(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.array(["$\\frac{", "$x$"] * 30)
    rows = rng.normal(size=(60, 3))
    run = sp.train(None, (rows, labels), hidden=(8,), epochs=1, progress="none")
    plot_confusion(run.evaluate()).figure.savefig(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_a_range_test_shows_its_losses_and_the_suggestion(blobs):
    test = sp.find_lr(None, blobs)
    points, curve, line = plot_range_test(test, Figure().subplots()).lines
    assert points.get_ydata().tolist() == test.losses.tolist()
    assert curve.get_ydata().tolist() == test.smoothed.tolist()
    assert line.get_xdata()[0] == test.suggestion


@pytest.mark.parametrize("name", ["light", "dark"])
def test_lines_stand_out_from_the_background(run, name):
    with theme(name):
        ax = plot_curves(run.history)
    background = luminance(ax.get_facecolor()[:3])
    assert len(ax.lines) >= 2
    for line in ax.lines[:2]:
        lighter, darker = sorted((luminance(line.get_color()), background))[::-1]
        assert (lighter + 0.05) / (darker + 0.05) >= 3  # WCAG 2.1, graphical objects


def test_the_first_colours_differ_between_themes_and_not_within_one():
    found = {}
    for name in ("light", "dark"):
        with theme(name):
            found[name] = [to_hex(c) for c in colours(new_axes())]
        assert len(set(found[name])) == len(found[name])
    assert found["light"][0] != found["dark"][0]
