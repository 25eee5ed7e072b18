"""Plots draw the numbers of the record, and are files that can be looked at."""

from matplotlib.figure import Figure
from PIL import Image

import steepest as sp
from steepest.report import plot_curves, plot_rate_test, save_curves


def test_curves_show_the_history(blobs, tmp_path):
    run = sp.train(None, blobs, epochs=3, progress="none")
    ax = plot_curves(run.history, "loss", Figure().subplots())
    train, validation = ax.lines
    assert train.get_ydata().tolist() == run.history["train_loss"].to_list()
    assert validation.get_ydata().tolist() == run.history["val_loss"].to_list()
    with Image.open(save_curves(run, tmp_path / "curves.png")) as picture:
        assert picture.size[0] > 1000


def test_without_a_validation_part_there_is_one_curve(blobs):
    run = sp.train(None, blobs, epochs=2, validation=0.0, progress="none")
    assert len(plot_curves(run.history, "acc", Figure().subplots()).lines) == 1


def test_a_range_test_shows_its_losses_and_the_suggestion(blobs):
    test = sp.find_lr(None, blobs)
    points, curve, line = plot_rate_test(test, Figure().subplots()).lines
    assert points.get_ydata().tolist() == test.losses.tolist()
    assert curve.get_ydata().tolist() == test.smoothed.tolist()
    assert line.get_xdata()[0] == test.suggestion
