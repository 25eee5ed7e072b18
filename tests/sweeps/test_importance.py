"""Importance of settings, against the analysis of variance of a grid."""

import itertools

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata

from steepest.errors import RunError
from steepest.sweeps import Space, log_uniform
from steepest.sweeps.importance import importance_of
from steepest.sweeps.metrics import Metric


def results_of(points, values):
    """The table of a sweep. values: by trial and seed; None for a run that diverged."""
    rows = [
        {"trial": i, "seed": k, "status": "diverged" if v is None else "finished", "val_loss": v}
        for i, of_seeds in enumerate(values)
        for k, v in enumerate(of_seeds)
    ]
    table = pl.DataFrame(rows, schema_overrides={"val_loss": pl.Float64})
    return table, points


def shares(space, loss, seeds=4, noise=1e-6):
    rng = np.random.default_rng(0)
    names = list(space)
    points = [dict(zip(names, p, strict=True)) for p in itertools.product(*space.values())]
    values = [
        [None if (v := loss(**p)) is None else v + noise * rng.normal() for _ in range(seeds)]
        for p in points
    ]
    table, points = results_of(points, values)
    return importance_of(table, points, Space.of(space).dimensions, Metric.of("val_loss"), 0)


def by_setting(found):
    return {
        row["setting"]: (row["alone"], row["total"]) for row in found.settings.iter_rows(named=True)
    }


def test_a_grid_is_taken_apart_as_by_the_analysis_of_variance():
    rates, widths = [0.001, 0.01, 0.1, 1.0], [(8,), (16,), (32,), (64,)]
    found = shares(
        {"lr": rates, "hidden": widths, "momentum": [0.0, 0.9]},
        lambda lr, hidden, momentum: 3 * rates.index(lr) + widths.index(hidden),
    )
    ranks = rankdata([[3 * i + j for j in range(4)] for i in range(4)]).reshape(4, 4)
    expected = [ranks.mean(axis=axis).var() / ranks.var() for axis in (1, 0)]
    alone = by_setting(found)
    assert alone["lr"][0] == pytest.approx(expected[0], abs=0.05)
    assert alone["hidden"][0] == pytest.approx(expected[1], abs=0.05)
    assert alone["momentum"][1] < 0.02
    assert found.settings["setting"].to_list() == ["lr", "hidden", "momentum"]
    assert found.explained > 0.95


def test_two_settings_that_matter_only_together_have_a_total_and_nothing_alone():
    found = by_setting(
        shares(
            {"dropout": [0.0, 0.5], "l2": [0.0, 0.1]},
            lambda dropout, l2: (dropout > 0) ^ (l2 > 0),
            seeds=30,
        )
    )
    for alone, total in found.values():
        assert alone < 0.05
        assert total > 0.9


def test_one_setting_that_breaks_runs_is_seen_and_hides_no_other():
    def loss(lr, l2):
        return None if lr == 100.0 else l2

    found = by_setting(shares({"lr": [0.1, 0.2, 100.0], "l2": [0.0, 0.1]}, loss))
    assert found["lr"][0] > 0.4
    assert found["l2"][0] > 0.1


def test_numbers_between_two_are_spread_as_they_were_drawn():
    space = Space.of({"lr": log_uniform(1e-4, 1.0), "momentum": [0.0, 0.9]})
    points = list(space.random(80, 0))
    values = [[abs(np.log10(point["lr"]) + 2)] for point in points]
    table, points = results_of(points, values)
    found = importance_of(table, points, space.dimensions, Metric.of("val_loss"), 0)
    assert by_setting(found)["lr"][0] > 0.9
    again = importance_of(table, points, space.dimensions, Metric.of("val_loss"), 0)
    assert found.settings.equals(again.settings)


def test_noise_alone_explains_nothing():
    found = shares({"lr": [0.1, 0.2, 0.3], "l2": [0.0, 0.1]}, lambda lr, l2: 0.0, seeds=8)
    assert found.explained < 0.2


def test_what_cannot_be_told_is_said():
    with pytest.raises(RunError, match="no setting of this sweep varied"):
        shares({"lr": [0.1]}, lambda lr: lr)
    with pytest.raises(RunError, match=r"2 runs that have ended, of 2 trials, are too few to tell"):
        shares({"lr": [0.1, 0.2]}, lambda lr: lr, seeds=1)
    with pytest.raises(RunError, match="all runs are equal in val_loss"):
        shares({"lr": [0.1, 0.2, 0.3]}, lambda lr: 1.0, noise=0.0)
