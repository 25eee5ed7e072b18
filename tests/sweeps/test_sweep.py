"""sweep(): runs with the bits of each alone, and a table that does not depend on when or how."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.classifier import score_of, scores_of
from steepest.engine import StackedTraining
from steepest.errors import RecipeError, RunError, SteepestError
from steepest.objective import Objective
from steepest.sweeps import integers, log_uniform, uniform
from steepest.sweeps.preparations import Preparations


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(240, 6)).astype(np.float32)
    return inputs, (inputs @ rng.normal(size=(6, 3))).argmax(axis=1)


SHORT = sp.Recipe(epochs=3, hidden=(8,), test=0.2)


def assert_as_alone(sweep, rows, model=None):
    for row in sweep:
        alone = sp.train(
            model() if model else None,
            rows,
            sweep.recipe_of(row["run"]),
            progress="none",
            check=False,
            watch=False,
        )
        found, expected = sweep.history(row["run"]), alone.history.drop("seconds")
        assert found.equals(expected)
        assert row["val_loss"] == alone.scores["validation"].loss
        assert row["test_acc"] == alone.scores["test"].accuracy


@pytest.mark.parametrize(
    "space",
    [
        {"lr": [0.01, 0.5], "hidden": [(4,), (8, 8)]},
        {"optimizer": ["adam"], "batch_size": [7, "full"], "dropout": [0.0, 0.3]},
        {"ema": [0.9], "schedule": ["cosine"], "init": ["he", "xavier"]},
        {"early_stopping": [True], "patience": [1], "lr": [0.5]},
        {"swa": [0.5], "batch_norm": [True, False]},
        {"lr": [1], "momentum": [0]},  # whole numbers, where the engine takes fractions
        {"validation": [0.1, 0.3], "scaling": ["none", "standardise"]},
        {"engine": ["torch"], "momentum": [0.0, 0.9]},
        {"label_smoothing": [0.1], "class_weight": ["balanced", None]},
        # One trainer takes these one after the other, with other numbers each time.
        {"momentum": [0.5, 0.9], "weight_decay": [0.01, 0.1], "l2": [0.0, 0.01]},
        {"optimizer": ["adamw"], "weight_decay": [0.1, 0.5], "clip_norm": [0.1, 1.0]},
    ],
)
def test_a_run_of_a_sweep_has_the_bits_of_the_run_alone(rows, space):
    assert_as_alone(sp.sweep(SHORT, space, data=rows, seeds=2), rows)


def test_a_run_of_several_nets_is_that_of_its_recipe_alone(rows):
    # What is given by hand decides: a share of rows that nobody asked for is not held out.
    sweep = sp.sweep(sp.Recipe(epochs=2, members=2, hidden=(4,)), {"lr": [0.1]}, data=rows, seeds=1)
    recipe = sweep.recipe_of(sweep.results["run"][0])
    alone = sp.train(None, rows, recipe, progress="none", check=False, watch=False)
    assert sweep.results["val_loss"][0] == alone.scores["validation"].loss


def test_a_module_of_ones_own_begins_anew_in_each_run(rows):
    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 5), nn.Softplus(beta=2), nn.Linear(5, 3))

    model, before = net(), net().state_dict()
    sweep = sp.sweep(
        sp.Recipe(epochs=2, test=0.2), {"lr": [0.1, 0.5]}, model=model, data=rows, seeds=2
    )
    assert_as_alone(sweep, rows, net)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_function_makes_the_module_of_each_run(rows):
    def net(recipe):
        return nn.Sequential(nn.Linear(6, 3 if recipe.lr < 0.2 else 5), nn.Tanh(), nn.LazyLinear(3))

    sweep = sp.sweep(sp.Recipe(epochs=2), {"lr": [0.1, 0.5]}, model=net, data=rows, seeds=2)
    assert sweep.results["status"].to_list() == ["finished"] * 4


def test_the_kept_run_is_the_trained_one(rows, tmp_path):
    sweep = sp.sweep(SHORT, {"lr": [0.01, 0.1]}, data=rows, seeds=2, out=tmp_path / "sweep")
    (name,) = sweep.kept
    best = sweep.results.sort("val_loss").head(1)["run"][0]
    assert name == best
    kept = sweep.run(name)
    alone = sp.train(None, rows, kept.recipe, progress="none", check=False, watch=False)
    states = kept.model.state_dict(), alone.model.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])
    assert kept.scores == alone.scores
    assert kept.info["initial_loss"] == alone.info["initial_loss"]


def test_threads_and_the_folder_change_nothing(rows, tmp_path):
    space = {"lr": log_uniform(1e-3, 10), "hidden": [(4,), (8,)], "batch_size": integers(4, 64)}
    arguments = {"data": rows, "seeds": 2, "sampler": "random", "trials": 5}
    one = sp.sweep(SHORT, space, workers=1, **arguments)
    three = sp.sweep(SHORT, space, workers=3, out=tmp_path / "a", **arguments)
    assert one.results.equals(three.results)
    assert one.results.equals(sp.load_sweep(tmp_path / "a").results)


def test_failures_are_rows_with_their_cause(rows):
    class Broken(nn.Module):
        def __init__(self, lr):
            super().__init__()
            self.linear, self.lr, self.calls = nn.Linear(6, 3), lr, 0

        def forward(self, x):
            self.calls += 1
            if self.lr > 0.2 and self.training and self.calls > 5:
                raise RuntimeError("no more\nthan this")
            return self.linear(x)

    recipe = sp.Recipe(epochs=2)
    sweep = sp.sweep(recipe, {"lr": [0.1, 0.5]}, model=lambda r: Broken(r.lr), data=rows, seeds=1)
    assert sweep.results["status"].to_list() == ["finished", "failed"]
    assert sweep.failures["cause"].to_list() == ["RuntimeError: no more"]
    assert sweep.best().settings == {"lr": 0.1}
    diverged = sp.sweep(SHORT, {"lr": [0.1, 1e30]}, data=rows, seeds=1)
    assert diverged.results["status"].to_list() == ["finished", "diverged"]
    assert "the loss became" in diverged.failures["cause"][0]


def test_the_epochs_themselves_may_vary(rows):
    sweep = sp.sweep(SHORT, {"epochs": [1, 4]}, data=rows, seeds=2, progress="none")
    assert sweep.results["epochs"].to_list() == [1, 1, 4, 4]
    assert sweep.results["epochs_done"].to_list() == [1, 1, 4, 4]
    assert sweep.best().recipe.epochs == 4
    assert sweep.summary()["epochs"].to_list() == [4, 1]


def test_best_is_the_mean_over_seeds(rows):
    sweep = sp.sweep(SHORT, {"lr": [0.01, 0.3]}, data=rows, seeds=[3, 7, 11], metric="val_acc")
    best = sweep.best()
    means = sweep.results.group_by("lr").agg(pl.col("val_acc").mean())
    assert best.mean == pytest.approx(means["val_acc"].max())
    assert sweep.results["seed"].to_list() == [3, 7, 11] * 2
    assert len(sweep) == 6
    assert "trial 1, lr=0.3" in repr(best)


def test_a_sweep_goes_on_where_it_was_and_repeats_nothing(rows, tmp_path):
    space = {"lr": [0.01, 0.1], "hidden": [(4,), (8,)]}
    whole = sp.sweep(SHORT, space, data=rows, seeds=3)
    first = sp.sweep(SHORT, space, data=rows, seeds=1, out=tmp_path / "a")
    seconds = first.timings.sort("trial")
    more = sp.sweep(SHORT, space, data=rows, seeds=3, out=tmp_path / "a", resume=True)
    assert more.results.equals(whole.results)
    assert more.timings.filter(pl.col("seed") == 0).sort("trial").equals(seconds)


def test_what_a_folder_refuses(rows, tmp_path):
    space, folder = {"lr": [0.01, 0.1]}, tmp_path / "a"
    sp.sweep(SHORT, space, data=rows, seeds=1, out=folder)
    with pytest.raises(RunError, match="holds a sweep already: go on with it by resume=True"):
        sp.sweep(SHORT, space, data=rows, seeds=1, out=folder)
    with pytest.raises(RunError, match="another space"):
        sp.sweep(SHORT, {"lr": [0.1]}, data=rows, seeds=1, out=folder, resume=True)
    other = (rows[0] + 1, rows[1])
    with pytest.raises(RunError, match="a sweep of other data"):
        sp.sweep(SHORT, space, data=other, seeds=1, out=folder, resume=True)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"learning_rate": [1]}, "steepest calls it 'lr'"),
        ({"lrr": [0.1]}, "did you mean 'lr'"),
        ({"lr": []}, "lr has an empty list of values"),
        ({"hidden": [(4,), (8,), (4,)]}, r"hidden has the value \(4,\) twice"),
        ({"lr": 0.1}, r"lr takes a list of values, but is 0.1: write \[0.1\]"),
        ({"lr": [0.1, -1]}, "lr must be a number above 0, or 'auto', but is -1"),
        ({"seed": [1]}, "the seeds are an argument of their own"),
        ({"epochs": uniform(1, 5.5)}, "epochs must be a whole number"),
        ({"lr": uniform(0.1, 1)}, "a grid needs lists of values, but lr has a distribution"),
        ({"shift": [0, 2]}, "1 of 2 combinations cannot be trained.*\n  shift=2: "),
        (
            {"optimizer": ["sgd", "adam"], "momentum": [0.5]},
            "1 of 2 combinations cannot be trained, and none was: \n  optimizer=adam, momentum=0.5: ",
        ),
        ({"early_stopping": [True], "validation": [0.0]}, "needs a validation part"),
        ([("lr", [1])], "the second argument says what varies"),
    ],
)
def test_a_space_that_cannot_be_trained_is_refused_in_one_message(rows, space, message):
    with pytest.raises(RecipeError, match=message):
        sp.sweep(SHORT, space, data=rows, seeds=1)


@pytest.mark.parametrize("workers", [0, -2, 1.5, True])
def test_workers_that_cannot_be_are_refused(rows, workers):
    with pytest.raises(RecipeError, match="workers must be a whole number of at least 1, but is"):
        sp.sweep(SHORT, {"lr": [0.1]}, data=rows, seeds=1, workers=workers)


def test_a_grid_of_a_billion_is_refused():
    many = list(range(1, 1001))
    space = {"epochs": many, "batch_size": many, "hidden": [(n,) for n in many]}
    with pytest.raises(RecipeError, match=r"1,000,000,000 combinations .* at most 1,000,000"):
        sp.sweep(SHORT, space, data="digits")


def test_a_history_and_a_run_by_the_beginning_of_its_name(rows):
    sweep = sp.sweep(SHORT, {"lr": [0.1]}, data=rows, seeds=2, keep_best=0)
    name = sweep.results["run"][1]
    assert sweep.history(name[:8]).height == 3
    assert sweep.history().height == 6
    with pytest.raises(RunError, match="no run 'x'"):
        sweep.history("x")
    with pytest.raises(RunError, match="did not keep its weights"):
        sweep.run(name)


def test_pictures_are_shared_though_they_were_looked_at_for_a_preset(monkeypatch):
    """A sweep of seeds alone, whose recipe says nothing of a net; these are too small for one."""
    monkeypatch.setattr("steepest.sweeps.training.train", None)  # what trains runs that share none
    pictures = np.random.default_rng(0).random((60, 1, 3, 3)).astype(np.float32)
    labels = (pictures.mean(axis=(1, 2, 3)) > 0.5).astype(int)
    sweep = sp.sweep(sp.Recipe(epochs=1), {}, data=(pictures, labels), seeds=2)
    assert sweep.results["status"].to_list() == ["finished", "finished"]


@pytest.mark.parametrize("settings", [{}, {"members": 2, "hidden": (4,)}, {"preset": "lecture"}])
@pytest.mark.parametrize(
    ("column", "labels", "message"),
    [
        ([1.0] * 40, ["x"] * 40, "one class"),
        ([1.0, np.inf] * 20, ["x", "z"] * 20, "inf"),
    ],
)
def test_a_table_that_nothing_can_learn_from_is_refused_before_the_first_run(
    settings, column, labels, message, tmp_path
):
    """Also where a preset decides, or several nets are trained."""
    table = pl.DataFrame({"a": column, "y": labels})
    with pytest.raises(SteepestError, match=message):
        sp.sweep(sp.Recipe(target="y", **settings), {}, data=table, seeds=2, out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("rows", [1, 7, 333])
def test_scores_of_many_nets_are_those_of_each(kind, rows):
    rng = torch.Generator().manual_seed(rows)
    outputs = torch.randn(5, rows, 1 if kind == "binary" else 4, generator=rng)
    shape = (rows, 4) if kind == "multilabel" else (rows,)
    targets = torch.randint(0, 4 if kind == "multiclass" else 2, shape, generator=rng)
    weights = torch.rand(rows, generator=rng)
    for given in (None, weights):
        alone = [score_of(Objective(kind), own, targets, given) for own in outputs]
        assert scores_of(Objective(kind), outputs, targets, given) == alone


def test_a_trainer_takes_other_numbers_and_nothing_that_needs_other_memory(rows):
    recipe = sp.Recipe(hidden=(4,), threads=1)
    plan = Preparations(None, rows).of(recipe).plan
    stacked = StackedTraining(plan)
    stacked.change(replace(plan, recipe=recipe.replace(weight_decay=0.1, lr=0.3)))
    for other in ({"momentum": 0.9}, {"optimizer": "adam"}, {"clip_norm": 1.0}, {"accumulate": 2}):
        with pytest.raises(ValueError, match="need other memory"):
            stacked.change(replace(plan, recipe=recipe.replace(**other)))
