"""Sweep.summary, compare and best().refit: means over seeds, who is told apart, the chosen run."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import RecipeError, RunError
from steepest.sweeps import mean_interval

SHORT = sp.Recipe(epochs=3, hidden=(8,))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(240, 6)).astype(np.float32)
    return inputs, (inputs @ rng.normal(size=(6, 3))).argmax(axis=1)


@pytest.fixture(scope="module")
def sweep(rows):
    space = {"lr": [0.001, 0.1, 0.11, 1e30], "batch_size": [16, 32]}
    return sp.sweep(SHORT, space, data=rows, seeds=4, progress="none")


def test_one_row_a_setting_the_best_mean_first_and_the_broken_last(sweep):
    summary = sweep.summary()
    assert summary.columns == [
        *(
            "trial",
            "lr",
            "batch_size",
            "mean",
            "low",
            "high",
            "std",
            "n",
            "best",
            "failed",
            "apart",
        ),
    ]
    assert summary["mean"].head(6).is_sorted()
    assert summary["failed"].to_list() == [0] * 6 + [4] * 2
    assert summary["mean"].tail(2).to_list() == [None, None]
    first = summary.row(0, named=True)
    values = sweep.results.filter(pl.col("trial") == first["trial"])["val_loss"]
    found = mean_interval(values.to_list())
    assert (first["mean"], first["low"], first["high"]) == pytest.approx(
        (found.mean, found.low, found.high)
    )
    assert (first["n"], first["best"]) == (4, values.min())
    by_lr = dict(summary.select("lr", "apart").tail(7).iter_rows())
    assert by_lr[0.001] is True  # hardly trained
    assert by_lr[1e30] is None


def test_a_trial_that_broke_for_one_seed_comes_after_those_that_did_not(sweep):
    results = sweep.results.with_columns(
        pl.when((pl.col("trial") == sweep.best().trial) & (pl.col("seed") == 0))
        .then(pl.lit("failed")).otherwise("status").alias("status")
    )  # fmt: skip
    from steepest.sweeps.metrics import Metric
    from steepest.sweeps.summary import ranking

    ranked = ranking(results, sweep.settings, Metric.of("val_loss"))
    assert ranked["complete"].to_list() == [True] * 5 + [False] * 3
    assert ranked.row(5, named=True)["n"] == 3


def test_higher_is_better_for_an_accuracy(sweep):
    summary = sweep.summary("val_acc")
    assert summary["mean"].head(6).is_sorted(descending=True)
    assert (summary["best"] >= summary["mean"]).head(6).all()


def test_two_settings_are_told_apart_or_not(sweep):
    planned = sweep.compare({"lr": 0.1, "batch_size": 16}, {"lr": 0.001, "batch_size": 16})
    assert planned.exceeds_noise
    assert str(planned).startswith("lr = 0.1 beats lr = 0.001 by ")
    assert planned.comparisons == 1
    chosen = sweep.compare()
    assert chosen.comparisons == 5  # with each other trial that has a run
    close = [{"lr": lr, "batch_size": 16} for lr in (0.1, 0.11)]
    assert "are not told apart by 4 seeds (val_acc" in str(sweep.compare(*close, metric="val_acc"))
    assert sweep.compare(sweep.best(), 0).better_by == pytest.approx(
        sweep.compare(0, sweep.best()).better_by * -1
    )


def test_bad_arguments_have_one_line_each(sweep):
    for arguments, message in [
        (({"lr": 0.1}, None), "trials 2, 3 have lr=0.1: one trial is meant"),
        (({"lr": 7}, None), "no trial of this sweep has lr=7: one trial is meant"),
        ((99, None), "there is no trial 99: they are 0 to 7"),
        ((1, 1), "two trials are compared, and these are one"),
        (("best", None), "a trial is its number or its settings"),
        ((6, 0), "lr = 1e.30.* has no finished run with val_loss"),
    ]:
        with pytest.raises(RunError, match=message):
            sweep.compare(*arguments)
    with pytest.raises(RecipeError, match="unknown metric 'val_los'; did you mean 'val_loss'"):
        sweep.summary("val_los")
    with pytest.raises(RunError, match="no run of this sweep has test_acc: its recipe keeps no"):
        sweep.compare(metric="test_acc")


def test_a_sweep_without_a_finished_run_or_with_one_seed(rows):
    broken = sp.sweep(SHORT, {"lr": [1e30, 1e31]}, data=rows, seeds=1, progress="none")
    assert broken.summary()["mean"].to_list() == [None, None]
    message = r"no run of this sweep has reached its end \(2 diverged\); see sweep.failures"
    with pytest.raises(RunError, match=message):
        broken.compare()
    with pytest.raises(RunError, match="no trial of this sweep reached its end with every seed"):
        broken.best()
    once = sp.sweep(SHORT, {"lr": [0.1, 0.2]}, data=rows, seeds=1, progress="none")
    assert "1 seed tells nothing of seed noise: take 8 or more" in str(once.compare())
    assert once.summary()["low"].to_list() == [None, None]
    alone = sp.sweep(SHORT, {"lr": [0.1]}, data=rows, seeds=2, progress="none")
    with pytest.raises(RunError, match="two trials are compared, and this sweep has one"):
        alone.compare()


def same_weights(one, other):
    states = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_refit_is_the_run_of_the_sweep_with_everything_recorded(rows, tmp_path):
    sweep = sp.sweep(
        SHORT, {"lr": [0.01, 0.1]}, data=rows, seeds=2, keep_best=4, out=tmp_path / "a",
        progress="none",
    )  # fmt: skip
    best = sweep.best()
    run = best.refit(progress="none", out=tmp_path / "run")
    assert same_weights(run, sweep.run(best.runs[0]))
    assert run.recipe.lr == best.settings["lr"]
    assert run.intervals.height
    assert same_weights(best.refit(seed=1, progress="none"), sweep.run(best.runs[1]))
    read = sp.load_sweep(tmp_path / "a").best()
    with pytest.raises(RunError, match="the data of this sweep were objects, which its folder"):
        read.refit()
    with pytest.raises(RunError, match="these are not the data, or not the model, of the sweep"):
        read.refit(data=(rows[0] + 1, rows[1]))
    assert same_weights(read.refit(data=rows, progress="none"), run)


def test_a_refit_on_all_rows_trains_as_long_as_was_best(rows):
    recipe = sp.Recipe(epochs=40, hidden=(16,), early_stopping=True, patience=2, test=0.2)
    best = sp.sweep(recipe, {"lr": [0.5]}, data=rows, seeds=3, progress="none").best()
    run = best.refit(all_rows=True, progress="none")
    assert run.info["rows"] == 240
    assert run.history.height == best.epochs < 40
    assert set(run.scores) == {"train"}


def test_a_refit_of_ones_own_module(rows):
    def net(recipe):
        return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))

    sweep = sp.sweep(
        sp.Recipe(epochs=2), {"lr": [0.1, 0.5]}, model=net, data=rows, seeds=1, keep_best=2,
        progress="none",
    )  # fmt: skip
    best = sweep.best()
    assert same_weights(best.refit(progress="none"), sweep.run(best.runs[0]))
