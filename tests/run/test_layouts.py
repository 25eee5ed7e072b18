"""Runs that earlier versions wrote are opened by this one.

layouts/1 was written by the first version that had a layout; it is never written anew.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import steepest as sp
from steepest.engine import LayerStats
from steepest.errors import RunError
from steepest.training.checkpoint import _layer_stats

LAYOUTS = Path(__file__).parent / "layouts"


@pytest.fixture
def first(tmp_path):
    return Path(shutil.copytree(LAYOUTS / "1", tmp_path / "run"))


def test_a_run_of_the_first_version_predicts_what_it_did(first):
    expected = json.loads((LAYOUTS / "expected-1.json").read_text())
    run = sp.load_run(first)
    found = run.classifier.predict_proba(LAYOUTS / "rows.csv")
    assert np.allclose(found, expected["probabilities"], rtol=1e-5)
    assert run.history["train_loss"].to_list() == expected["train_loss"]
    assert run.status == expected["status"]
    assert run.recipe.hidden == (4,)
    assert run.intervals["batch"].to_list() == [4, 4, 4]  # a column that was called i then
    assert set(run.layers.columns) >= {"inactive", "update_ratio"}  # the former was called idle
    assert run.evaluate(LAYOUTS / "rows.csv").rows == 6


def test_it_is_saved_with_the_columns_of_today(first, tmp_path):
    intervals = sp.load_run(first).intervals
    saved = sp.load_run(sp.load_run(first).save(tmp_path / "saved"))
    assert saved.intervals.equals(intervals)
    assert "batch INTEGER" in (tmp_path / "saved" / "record.sqlite").read_bytes().decode("latin-1")


def test_what_it_lacks_is_said(first):
    with pytest.raises(RunError, match="has no checkpoint to go on from"):
        sp.resume(first, progress="none")
    with pytest.raises(RunError) as error:
        sp.load_run(first, weights="best")
    assert str(error.value) == f"{first} has no best weights: it had no validation part"


def test_a_later_layout_is_not_guessed_at(first):
    (first / "layout.json").write_text('{"layout": 2, "steepest": "9.0"}')
    with pytest.raises(RunError, match="has layout 2, and this version of steepest reads layout 1"):
        sp.load_run(first)


def test_the_statistics_of_a_former_checkpoint_are_read_under_their_new_name():
    numbers = dict.fromkeys(
        ("weight_norm", "gradient_norm", "update_ratio", "activation_mean", "activation_std"), 1.0
    )
    stats = _layer_stats({"name": "1", **numbers, "idle": 0.25})
    assert stats == LayerStats("1", **numbers, inactive=0.25)
