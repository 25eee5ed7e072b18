"""Pictures of a sweep, from numbers that nothing was trained for."""

import math

import numpy as np
import pytest
from matplotlib.collections import LineCollection, QuadMesh

import steepest as sp
from made_sweeps import made_sweep
from steepest.errors import RecipeError, RunError
from steepest.report import plot_heatmap, plot_importance, plot_parallel, plot_sweep_curves, theme
from steepest.sweeps import Space, integers, log_uniform

GRID = {"lr": [0.01, 0.1, 1.0], "hidden": [(8,), (16, 16)], "batch_norm": [False, True]}
KINDS = ("parallel", "heatmap", "importance", "curves")


def loss(point, seed):
    if point["lr"] == 1.0 and point["batch_norm"]:
        return None
    wide = 0.2 * (point["hidden"] == (8,))
    return 0.3 + 0.1 * abs(math.log10(point["lr"]) + 1) + wide + 0.01 * seed


@pytest.fixture(scope="module")
def grid():
    return made_sweep(GRID, None, loss)


def words(ax):
    return " ".join(text.get_text() for text in ax.figure.findobj(lambda a: hasattr(a, "get_text")))


def test_each_kind_is_drawn_by_name_on_both_backgrounds(grid):
    for name in ("light", "dark"):
        with theme(name):
            for kind in KINDS:
                grid.plot(kind).figure.canvas.draw()


def test_parallel_has_a_line_for_each_trial_and_the_best_on_top(grid):
    ax = plot_parallel(grid)
    drawn = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert sum(len(c.get_segments()) for c in drawn) == 12
    (best,) = max(drawn, key=lambda c: c.get_zorder()).get_segments()
    assert best[-1][1] == 1.0  # the lowest loss is on top
    broken = [s for c in drawn for s in c.get_segments() if s[-1][1] < 0]
    assert len(broken) == 2
    assert "2 without a value" in words(ax)
    assert "lr (log)" in words(ax)


def test_one_bad_trial_presses_the_others_neither_in_lines_nor_in_colours():
    space = {"lr": [0.1, 0.2, 0.3, 0.4, 0.5], "l2": [0.0, 0.1]}
    bad = made_sweep(space, None, lambda p, seed: 90.0 if p["lr"] == 0.5 else p["lr"] + p["l2"])
    ax = plot_parallel(bad)
    ends = sorted(s[-1][1] for c in ax.collections for s in c.get_segments())
    assert ends[:2] == [0.0, 0.0]
    assert ends[2] > 0.2
    assert "or worse" in words(ax)
    (mesh,) = [c for c in plot_heatmap(bad).collections if isinstance(c, QuadMesh)]
    assert mesh.norm.vmax < 1


def test_parallel_of_thousands_draws_some_evenly_and_says_so():
    space = {"lr": log_uniform(1e-4, 1), "batch_size": integers(4, 64)}
    points = Space.of(space).random(3000, 0)
    sweep = made_sweep(space, points, lambda point, seed: point["lr"], seeds=1, epochs=1)
    ax = plot_parallel(sweep)
    assert "984 of 2,950 others" in words(ax)
    ax.figure.canvas.draw()


def test_a_cell_of_the_heatmap_is_the_mean_over_all_others_and_says_of_how_many(grid):
    ax = plot_heatmap(grid, "lr", "hidden")
    (mesh,) = [c for c in ax.collections if isinstance(c, QuadMesh)]
    found = np.asarray(mesh.get_array()).reshape(2, 3)
    assert found[0, 1] == pytest.approx(np.mean([0.5, 0.51]))  # lr=0.1, hidden=8
    assert found[1, 2] == pytest.approx(np.mean([0.4, 0.41]))  # without the broken ones
    assert "4 runs" in words(ax)
    assert "2 of 4" in words(ax)


def test_cells_without_a_run_and_cells_whose_runs_all_broke_are_told_apart():
    points = [{"lr": 0.1, "l2": 0.0}, {"lr": 0.2, "l2": 0.0}, {"lr": 0.2, "l2": 0.1}]
    space = {"lr": [0.1, 0.2], "l2": [0.0, 0.1]}
    sweep = made_sweep(space, points, lambda p, seed: None if p["lr"] + p["l2"] > 0.25 else p["lr"])
    ax = plot_heatmap(sweep)
    assert "none of 2" in words(ax)
    hatched = {tuple(map(round, p.get_center())): bool(p.get_hatch()) for p in ax.patches}
    assert hatched == {(0, 1): True, (1, 1): False}  # (lr, l2): never tried, and broken


def test_numbers_between_two_are_put_into_bins():
    space = {"lr": log_uniform(1e-4, 1), "batch_size": integers(4, 400, log=True)}
    points = Space.of(space).random(60, 0)
    ax = plot_heatmap(made_sweep(space, points, lambda point, seed: point["lr"]))
    assert ax.get_xlabel() == "lr, in 8 bins"
    assert len(ax.get_xticks()) == 8


def test_curves_have_a_band_and_a_legend_of_what_varied(grid):
    ax = plot_sweep_curves(grid, best=2)
    assert len(ax.lines[1].get_xdata()) == 4
    assert "lr=0.1, hidden=16,16, batch_norm=False (2 seeds)" in words(ax)
    assert "8 others" in words(ax)
    assert ax.get_ylabel() == "validation loss (nats), mean over seeds"
    assert plot_sweep_curves(grid, "train_acc").get_ylabel().startswith("training accuracy")


def test_importance_says_how_much_is_explained(grid):
    ax = plot_importance(grid)
    assert ax.get_yticklabels()[0].get_text() in GRID
    assert "settings explain" in ax.get_xlabel()


def test_what_cannot_be_drawn_is_said_in_a_line(grid):
    one = made_sweep({"lr": [0.1, 0.2], "l2": [0.0]}, None, lambda p, seed: p["lr"])
    broken = made_sweep({"lr": [0.1, 0.2]}, None, lambda p, seed: None)
    alone = made_sweep({}, None, lambda p, seed: 0.1)
    ended = r"no run of this sweep has reached its end \(4 diverged\)"
    for draw, message in [
        (
            lambda: one.plot("heatmap"),
            "a heatmap needs two settings that vary, and in this sweep lr",
        ),
        (
            lambda: one.plot("heatmap", x="l2"),
            "l2 has one value in this sweep, 0; settings that did",
        ),
        (
            lambda: one.plot("heatmap", x="lrr"),
            "'lrr' did not vary in this sweep; did you mean 'lr'",
        ),
        (lambda: grid.plot("heatmap", x="lr", y="lr"), "two different settings, but was given lr"),
        (lambda: grid.plot("curve"), "there is no plot 'curve' of a sweep; did you mean 'curves'"),
        (
            lambda: grid.plot("curves", quantity="f1"),
            "curves are of val_loss, .* but 'f1' was asked",
        ),
        (lambda: grid.plot("curves", best=0), "best must be 1 to 6 trials, but is 0"),
        (lambda: broken.plot("parallel"), ended),
        (lambda: broken.plot("curves"), ended),
        (lambda: broken.plot("heatmap"), ended),
        (lambda: alone.plot("parallel"), "no setting of this sweep varied"),
        (lambda: alone.plot("importance"), "no setting of this sweep varied"),
    ]:
        with pytest.raises(RunError, match=message):
            draw()
    with pytest.raises(RecipeError, match="unknown metric 'acc'"):
        grid.plot("parallel", metric="acc")
    alone.plot("curves").figure.canvas.draw()
    one.plot("parallel").figure.canvas.draw()
    assert isinstance(one, sp.Sweep)
