"""Optuna as sampler and pruner: the real library, asked and told in batches, resumed exactly."""

import numpy as np
import polars as pl
import pytest

import steepest as sp
from steepest.errors import RecipeError
from steepest.sweeps import choice, integers, log_uniform
from steepest.sweeps.sweep import _Work

optuna = pytest.importorskip("optuna")

RECIPE = sp.Recipe(epochs=5, hidden=(8,), batch_size=16, test=0.0)
SPACE = {
    "lr": log_uniform(1e-4, 3),
    "hidden": [(4,), (8, 8)],
    "batch_size": integers(8, 64, log=True),
    "momentum": choice([0.0, 0.9]),
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 6)).astype(np.float32)
    return inputs, (inputs @ rng.normal(size=(6, 3))).argmax(axis=1)


def carried_out(rows, **arguments):
    given = {"data": rows, "seeds": 2, "sampler": "optuna", "trials": 20, "progress": "none"}
    return sp.sweep(RECIPE, SPACE, **given | arguments)


def test_trials_are_those_that_optuna_asks_for_and_each_is_told(rows):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=4))
    sweep = carried_out(rows, sampler=study, trials=12, seeds=1)
    assert sweep.info["sampler"] == "optuna TPESampler"
    for trial, row in zip(study.trials, sweep.results.iter_rows(named=True), strict=True):
        assert trial.params["lr"] == row["lr"]
        assert trial.params["batch_size"] == row["batch_size"]
        assert trial.state.name == ("COMPLETE" if row["status"] == "finished" else "FAIL")
        assert trial.value == row["val_loss"]
    assert sweep.best().mean == study.best_value


def test_the_sampler_learns_and_its_seed_decides(rows):
    sweep = carried_out(rows, trials=32)
    by_trial = sweep.results.group_by("trial", maintain_order=True)
    means = by_trial.agg(pl.col("val_loss").mean())["val_loss"].to_list()
    assert np.median(means[16:]) < np.median(means[:8])
    assert sweep.results.equals(carried_out(rows, trials=32, workers=3).results)
    other = carried_out(rows, trials=8, seeds=[5, 6], seed=5)
    assert other.results["lr"][0] != sweep.results["lr"][0]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("pruner", ["none", "optuna"])
def test_what_is_gone_on_with_asks_for_what_would_have_come(rows, tmp_path, monkeypatch, pruner):
    whole = carried_out(rows, pruner=pruner)
    keep, ended = _Work._keep, []

    def keep_some(self, trial, run):
        keep(self, trial, run)
        ended.append(run)
        if len(ended) == 21:  # within the second batch
            raise Killed

    monkeypatch.setattr(_Work, "_keep", keep_some)
    with pytest.raises(Killed):
        carried_out(rows, pruner=pruner, out=tmp_path / "a")
    monkeypatch.undo()
    again = carried_out(rows, pruner=pruner, out=tmp_path / "a", resume=True)
    assert again.results.equals(whole.results)


def test_a_pruner_of_optuna_ends_trials_and_the_study_knows(rows):
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2),
    )
    sweep = carried_out(rows, sampler=study, pruner="optuna", trials=16)
    by_trial = sweep.results.group_by("trial", maintain_order=True).first()
    states = [trial.state.name for trial in study.trials]
    told = {"finished": "COMPLETE", "pruned": "PRUNED", "diverged": "FAIL"}
    assert states == [told[status] for status in by_trial["status"]]
    assert {"COMPLETE", "PRUNED"} <= set(states)
    first = study.trials[states.index("PRUNED")]
    assert list(first.intermediate_values) in ([1], [1, 3])
    assert "Optuna's pruner" in sweep.results.filter(pl.col("status") == "pruned")["cause"][0]


def test_optunas_pruner_judges_the_points_of_any_sampler(rows):
    arguments = {"sampler": "sobol", "pruner": optuna.pruners.MedianPruner(), "trials": 16}
    sweep = carried_out(rows, **arguments)
    assert "pruned" in set(sweep.results["status"])
    assert sweep.results.equals(carried_out(rows, **arguments, workers=1).results)


def test_what_does_not_go_with_optuna(rows):
    with pytest.raises(RecipeError, match="needs the number of points"):
        carried_out(rows, trials=None)
    with pytest.raises(RecipeError, match="pruner asha needs all trials at once"):
        carried_out(rows, pruner="asha")
    with pytest.raises(RecipeError, match="study with direction maximize"):
        carried_out(rows, sampler=optuna.create_study(), metric="val_acc")
    with pytest.raises(RecipeError, match="one is a int"):
        carried_out(rows, sampler=3)
    with pytest.raises(RecipeError, match="2 of 4 combinations cannot be trained"):
        sp.sweep(
            RECIPE, {"hidden": [(8,), (8, 4)], "residual": [False, True]}, data=rows,
            sampler="optuna", trials=4,
        )  # fmt: skip
