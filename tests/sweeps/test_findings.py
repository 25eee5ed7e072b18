"""Sweep.findings: the same that a training of its own would have said of its epochs."""

import numpy as np
import pytest

import steepest as sp
from steepest.run import EpochFinished
from steepest.sweeps.findings import findings_table
from steepest.sweeps.metrics import Metric
from steepest.sweeps.progress import line_of
from steepest.sweeps.record import RunRow
from steepest.sweeps.tally import Tally

CODES = ("OVERFIT", "STOPPED_TOO_EARLY")


@pytest.fixture(scope="module")
def sweep():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 20)).astype(np.float32)
    rows = inputs, ((inputs[:, 0] + rng.normal(size=400)) > 0).astype(int)
    recipe = sp.Recipe(epochs=15, hidden=(64,), validation=0.4, optimizer="adam")
    return sp.sweep(recipe, {"lr": [1e-3, 2e-2]}, data=rows, seeds=2, progress="none"), rows


def test_they_are_those_of_each_run_alone(sweep):
    sweep, rows = sweep
    counts = dict.fromkeys(CODES, 0)
    for row in sweep:
        alone = sp.train(None, rows, sweep.recipe_of(row["run"]), progress="none")
        for finding in alone.findings:
            if finding.code in CODES:
                counts[finding.code] += 1
    found = dict(sweep.findings.select("code", "runs").iter_rows())
    assert found == {code: count for code, count in counts.items() if count}
    assert set(found) == set(CODES)
    first = sweep.findings.row(0, named=True)
    alone = sp.train(None, rows, sweep.recipe_of(first["run"]), progress="none")
    (same,) = [finding for finding in alone.findings if finding.code == first["code"]]
    assert first["message"] == same.message


def test_of_very_many_runs_some_are_looked_at(sweep, monkeypatch):
    monkeypatch.setattr("steepest.sweeps.findings._MOST_RUNS", 2)
    found = findings_table(sweep[0].results, sweep[0]._record.history, sweep[0].info)
    assert set(found["of"]) == {2}
    assert found["runs"].max() <= 2


def test_a_sweep_counts_them_while_it_goes_on(sweep):
    sweep, _ = sweep
    tally = Tally(Metric.of("val_loss"))
    tally.judges, tally.about = True, sweep.info
    tally.add_trials(0, sweep.trials)
    tally.add_plan(sweep.results.select("trial", "seed", "run").iter_rows())
    tally.begin([])
    for row in sweep:
        epochs = sweep.history(row["run"]).to_dicts()
        history = [EpochFinished(**epoch, seconds=0.0) for epoch in epochs]
        tally.add_run(
            RunRow(row["run"], "finished", None, 15, 100, val_loss=row["val_loss"]), history
        )
    assert tally.standings().judged == 0
    tally.judge()
    now = tally.standings()
    assert now.findings == dict(sweep.findings.select("code", "runs").iter_rows())
    assert f"OVERFIT in {now.findings['OVERFIT']}" in line_of(now, "val_loss")
    assert "of 4 runs; best" in line_of(now, "val_loss")


def test_what_was_never_finished_has_none():
    diverged = sp.sweep(
        sp.Recipe(data="iris", epochs=4, hidden=(4,)), {"lr": [1e30]}, seeds=1, progress="none"
    )
    assert diverged.findings.columns == ["code", "severity", "runs", "of", "message", "fix", "run"]
    assert diverged.findings.height == 0
