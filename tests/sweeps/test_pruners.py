"""Pruners: who falls behind is ended early, alike whatever the threads and after a resumption."""

import sys

import numpy as np
import polars as pl
import pytest

import steepest as sp
from steepest.errors import RecipeError
from steepest.sweeps import log_uniform
from steepest.sweeps.paused import PausedStates
from steepest.sweeps.pruners import rungs_of

RECIPE = sp.Recipe(epochs=10, hidden=(8,), batch_size=16)
SPACE = {"lr": log_uniform(1e-4, 1), "momentum": [0.0, 0.9]}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 6)).astype(np.float32)
    return inputs, (inputs @ rng.normal(size=(6, 3))).argmax(axis=1)


def carried_out(rows, pruner, **arguments):
    return sp.sweep(
        RECIPE, SPACE, data=rows, seeds=2, sampler="random", trials=9, pruner=pruner, **arguments
    )


def test_rungs():
    assert rungs_of(10) == [1, 3, 9]
    assert rungs_of(9) == [1, 3]
    assert rungs_of(1) == []


def test_halving_keeps_the_best_third_of_each_rung(rows):
    pruned = carried_out(rows, "halving")
    whole = carried_out(rows, "none")
    epochs = pruned.results.group_by("trial", maintain_order=True).agg(pl.col("epochs").first())
    assert sorted(epochs["epochs"]) == [1] * 6 + [3] * 2 + [10]
    history = whole.history().filter(pl.col("epoch") == 0)
    first = (
        whole.results.select("trial", "run")
        .join(history, on="run")
        .group_by("trial")
        .agg(pl.col("val_loss").mean())
        .sort("val_loss")
    )
    gone_on = epochs.filter(pl.col("epochs") > 1)["trial"]
    assert set(first["trial"][:3]) == set(gone_on)
    last = pruned.results.filter(pl.col("status") == "finished")
    same = whole.results.filter(pl.col("run").is_in(last["run"].to_list()))
    assert last.equals(same)
    causes = pruned.results.filter(pl.col("status") == "pruned")["cause"]
    assert causes.str.contains(r"after \d epochs its val_loss was the \d. of \d trials").all()


def test_halving_is_the_same_on_any_number_of_threads_and_after_a_stop(rows, tmp_path):
    one = carried_out(rows, "halving", workers=1)
    three = carried_out(rows, "halving", workers=3, out=tmp_path / "a")
    assert one.results.equals(three.results)
    again = carried_out(rows, "halving", out=tmp_path / "a", resume=True)
    assert again.results.equals(one.results)
    assert again.timings.equals(three.timings)


def test_asha_ends_trials_and_takes_no_decision_twice(rows, tmp_path):
    sweep = carried_out(rows, "asha", out=tmp_path / "a")
    status = sweep.results["status"]
    assert set(status) == {"finished", "pruned"}
    assert sweep.best().mean < 1
    again = carried_out(rows, "asha", out=tmp_path / "a", resume=True)
    assert again.results.equals(sweep.results)


def test_what_a_pruner_refuses(rows):
    with pytest.raises(RecipeError, match="did you mean 'halving'"):
        carried_out(rows, "halv")
    with pytest.raises(RecipeError, match="several nets have no pause: take pruner 'none'"):
        carried_out(rows, "halving", members=2)
    with pytest.raises(RecipeError, match="measured at the end"):
        carried_out(rows, "asha", metric="test_loss")


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_paused_runs_beyond_the_bound_of_the_memory_change_nothing(
    rows, monkeypatch, tmp_path, engine
):
    monkeypatch.setattr(sys.modules[__name__], "RECIPE", RECIPE.replace(engine=engine, epochs=5))
    held = carried_out(rows, "halving")
    monkeypatch.setattr("steepest.sweeps.executor.MOST_BYTES", 0)
    monkeypatch.setattr("steepest.sweeps.stacks.MOST_BYTES", 3000)
    beyond = carried_out(rows, "halving", out=tmp_path / "a")
    assert held.results.equals(beyond.results)
    left = {path.name.partition("-")[0] for path in (tmp_path / "a").iterdir()}
    assert left == {"best", "lock", "sweep.sqlite"}


def test_states_are_given_back_from_memory_and_from_the_file():
    rng, kept = np.random.default_rng(0), PausedStates(None, most=100)
    states = [rng.normal(size=size).astype(np.float32) for size in (10, 20, 30, 20)]
    paused = [kept.put(state) for state in states]
    assert [one.held is None for one in paused] == [False, True, True, True]
    assert np.array_equal(kept.take(paused[1]), states[1])
    again = kept.put(states[3])
    assert again.place == paused[1].place  # places in the file are used again
    for one, state in [(paused[0], states[0]), (paused[2], states[2]), (again, states[3])]:
        assert np.array_equal(kept.take(one), state)
    assert kept.put(states[0]).held is not None
