"""STOPPED_TOO_EARLY: what still falls is told, and nothing else."""

import math

import numpy as np
import pytest

import steepest as sp
from steepest.health.watch.rules.unfinished import still_falling

EPOCHS = range(1, 21)
SLOW = {"lr": 0.003, "epochs": 8, "hidden": (16,), "validation": 0.3, "check": False}
SLOW["progress"] = "none"
CHANCE = math.log(4)


def falls(losses, rows=1000, chance=CHANCE):
    steps = [20 * (k + 1) for k in range(len(losses))]
    return still_falling(steps, losses, rows, chance) is not None


def test_a_loss_that_falls_by_a_few_per_cent_an_epoch_is_told():
    assert falls([1.3 * 0.95**k for k in EPOCHS])
    assert falls([1.4 - 0.2 * math.log(k) for k in EPOCHS])


@pytest.mark.parametrize(
    "losses",
    [
        [0.3 + math.exp(-k) for k in EPOCHS],  # a plateau
        [0.01 / k for k in EPOCHS],  # learned: half as much at twice the steps, of nearly nothing
        [0.5 + 0.02 * (k - 12) ** 2 / 50 for k in EPOCHS],  # past its lowest
        [1.0, 0.9],  # too few
        [1.0, math.nan, 0.8, 0.7],
        [],
    ],
)
def test_what_has_ended_is_not(losses):
    assert not falls(losses)


def test_noise_of_few_rows_is_no_fall():
    """A level loss, measured on few rows: at most a few in a hundred are told, by chance."""
    rng = np.random.default_rng(0)
    told = sum(falls(list(0.8 + rng.normal(0, 0.15, 10)), rows=28) for _ in range(200))
    assert told <= 6


def test_the_same_fall_needs_rows_to_be_seen():
    losses = [1.4 - 0.12 * math.log(k) for k in EPOCHS]
    assert falls(losses, rows=2000)
    assert not falls(losses, rows=20)


def code_of(run):
    return [f for f in run.findings if f.code == "STOPPED_TOO_EARLY"]


@pytest.fixture
def clouds():
    """Four clouds in eight dimensions, 600 rows."""
    rng = np.random.default_rng(0)
    y = np.arange(600) % 4
    return (rng.normal(0, 1.2, (4, 8))[y] + rng.normal(size=(600, 8))).astype("f4"), y


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_run_that_ends_while_it_learns_says_so_and_is_right(clouds, engine):
    run = sp.train(None, clouds, engine=engine, **SLOW)
    (found,) = code_of(run)
    assert found.severity == "warn"
    assert "epochs=16" in found.fix
    assert "validation loss" in found.message
    longer = sp.train(None, clouds, engine=engine, **(SLOW | {"epochs": 16}))
    assert longer.scores["validation"].loss < 0.95 * run.scores["validation"].loss


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.1, "momentum": 0.9, "epochs": 40},
        {"schedule": "cosine"},
        {"schedule": "one_cycle"},
        {"schedule": "step", "step_size": 4},
        {"lr": 0.1, "momentum": 0.9, "epochs": 60, "early_stopping": True},
        {"watch": False},
    ],
    ids=str,
)
def test_a_run_that_has_ended_is_silent(clouds, settings):
    assert code_of(sp.train(None, clouds, **(SLOW | settings))) == []


def test_without_a_validation_part_it_is_a_note_on_the_training_loss(clouds):
    (found,) = code_of(sp.train(None, clouds, **(SLOW | {"validation": 0.0})))
    assert found.severity == "info"
    assert "training loss" in found.message
    assert "validation=0.1" in found.fix


def test_one_epoch_is_judged_by_its_intervals(clouds):
    X, y = np.tile(clouds[0], (8, 1)), np.tile(clouds[1], 8)
    rng = np.random.default_rng(1)
    data = (X + rng.normal(0, 0.3, X.shape).astype("f4"), y)
    (found,) = code_of(sp.train(None, data, **(SLOW | {"epochs": 1})))
    assert "training loss" in found.message
    assert code_of(sp.train(None, data, **(SLOW | {"epochs": 1, "lr": 1.0}))) == []


def test_a_run_that_goes_on_is_judged_anew(clouds, tmp_path):
    run = sp.train(None, clouds, out=tmp_path / "run", **SLOW)
    assert code_of(run)
    more = run.resume(data=clouds, epochs=9, progress="none")
    assert len(code_of(more)) == 1  # one epoch alone would tell nothing: the earlier ones count
    assert "epochs=18" in code_of(more)[0].fix
    done = more.resume(data=clouds, epochs=70, lr=0.3, progress="none")
    assert code_of(done) == []


def test_a_higher_rate_is_named_if_it_was_tried_and_better():
    slow = {"lr": 0.003, "epochs": 20, "progress": "none", "check": False}
    (found,) = code_of(sp.train(None, "digits", **slow))
    assert found.fix.startswith("lr=0.03 (the first ")
