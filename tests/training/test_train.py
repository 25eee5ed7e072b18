"""train(): the run it gives back, what it records, what it refuses, and how it stops."""

import math
import signal
import threading
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import DataError, ModelError, RecipeError, RunError, TargetError
from steepest.run import EpochFinished, IntervalFinished, RunStarted, RunStopped
from steepest.training.preparation import prepare
from steepest.training.scoring import Scoring


def train(data, model=None, **settings):
    return sp.train(model, data, progress="none", **settings)


def bits(run):
    return b"".join(t.numpy().tobytes() for t in run.model.state_dict().values())


def test_it_learns_and_the_run_tells_what_happened(blobs):
    run = train(blobs, epochs=5, hidden=(8,), batch_size=16, test=0.2)
    assert run.status == "finished"
    assert run.info["engine"] in ("torch", "native")
    assert run.info["chance_loss"] == pytest.approx(math.log(3))
    assert run.history["epoch"].to_list() == [0, 1, 2, 3, 4]
    assert run.history.columns == [
        *("epoch", "step", "train_loss", "train_acc", "val_loss", "val_acc", "lr", "seconds")
    ]
    assert run.history["train_loss"][-1] < run.history["train_loss"][0]
    assert set(run.scores) == {"train", "validation", "test"}
    assert run.scores["test"].accuracy > 0.95
    assert run.evaluate().accuracy == pytest.approx(run.scores["test"].accuracy)
    assert run.evaluate().loss == pytest.approx(run.scores["test"].loss)
    assert run.intervals["rows"].sum() == 5 * run.info["rows"]


def test_the_users_own_module_is_trained_in_place(blobs):
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    parameters = list(model.parameters())
    run = train(blobs, model, epochs=10)
    assert run.model is model
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    X, y = blobs
    predicted = run.classifier.predict(X)
    assert (predicted == y).mean() > 0.9


def test_equal_recipes_give_equal_bits_and_another_seed_other_ones(blobs):
    first, second, other = (train(blobs, epochs=2, seed=seed) for seed in (5, 5, 6))
    assert bits(first) == bits(second)
    assert bits(first) != bits(other)


def test_observers_see_all_and_change_nothing(blobs):
    events = []
    watched = train(blobs, epochs=2, observers=[events.append])
    assert bits(watched) == bits(train(blobs, epochs=2))
    kinds = [type(event) for event in events]
    assert kinds[0] is RunStarted
    assert kinds[-1] is RunStopped
    assert kinds.count(EpochFinished) == 2
    steps = [event.step for event in events if isinstance(event, IntervalFinished)]
    assert steps == sorted(set(steps))
    assert steps[-1] == events[0].total_steps


@pytest.mark.parametrize("batch_size", [1, 7, 162, 1000, "full"])
def test_any_batch_size_sees_each_row_once_an_epoch(blobs, batch_size):
    run = train(blobs, epochs=2, batch_size=batch_size, lr=0.01)
    rows = run.info["rows"]
    per_epoch = run.intervals.group_by("epoch").agg(pl.col("rows").sum())
    assert per_epoch["rows"].to_list() == [rows, rows]
    size = rows if batch_size == "full" else min(batch_size, rows)
    assert run.history["step"].to_list() == [-(-rows // size), 2 * -(-rows // size)]


def test_steps_end_a_run_in_mid_epoch(blobs):
    run = train(blobs, epochs=10, batch_size=10, steps=25)
    assert run.history["step"].to_list() == [17, 25]
    assert run.intervals["step"].to_list()[-1] == 25


def test_two_classes_train_with_one_output_and_with_two(blobs):
    X, y = blobs
    two = X[y < 2], np.where(y[y < 2] == 0, "no", "yes")
    for width, kind in ((1, "binary"), (2, "multiclass")):
        run = train(two, nn.Sequential(nn.Linear(4, width)), epochs=3, test=0.2)
        assert run.classifier.objective.kind == kind
        assert run.scores["test"].accuracy > 0.95
        assert set(run.classifier.predict(X[y < 2])) == {"no", "yes"}
        proba = run.classifier.predict_proba(X[:5])
        assert proba.shape == (5, 2)
        assert np.allclose(proba.sum(1), 1)


def test_models_that_end_in_probabilities_train_too(blobs):
    softmax = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
    run = train(blobs, softmax, epochs=5, test=0.2)
    assert run.classifier.objective.outputs == "probabilities"
    assert run.scores["test"].accuracy > 0.9


def test_the_loss_of_a_fresh_zero_net_is_log_c(blobs):
    run = train(blobs, epochs=1, init="zeros", hidden=())
    assert run.info["initial_loss"] == pytest.approx(math.log(3), rel=1e-6)


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_the_first_loss_of_batch_norm_is_by_the_statistics_of_its_rows(blobs, engine):
    def net():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
        nn.init.normal_(model[0].weight, 0, 30)
        return model

    settings = {"epochs": 1, "engine": engine, "validation": 0, "batch_size": 16}
    model = net()
    inputs, targets, _ = prepare(net(), blobs, sp.Recipe(**settings)).some_training_rows(10_000)
    x = torch.from_numpy(inputs.block(0, len(inputs)))
    with torch.no_grad():
        expected = nn.functional.cross_entropy(net().train()(x), torch.from_numpy(targets))
    run = train(blobs, model, **settings)
    # Running variances are those of a sample, N / (N - 1) times those of training.
    assert run.info["initial_loss"] == pytest.approx(float(expected), rel=1e-2)
    assert int(model[1].num_batches_tracked) == run.history["step"][-1]


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_measuring_the_first_loss_of_batch_norm_changes_no_bit(blobs, engine, monkeypatch):
    def trained():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.ReLU())
        return bits(train(blobs, model.append(nn.Linear(16, 3)), epochs=2, engine=engine))

    measured = trained()
    monkeypatch.setattr(Scoring, "initial_loss", lambda self, step: math.nan)
    assert measured == trained()


def test_layer_statistics_are_recorded(blobs):
    run = train(blobs, epochs=2, batch_size=4, hidden=(8,))
    assert set(run.layers["name"]) == {"1", "3"}
    assert (run.layers["gradient_norm"] > 0).all()
    assert run.layers["step"].unique().sort().to_list() == [25, 50, 75]


def test_a_diverging_run_stops_and_says_where(blobs):
    run = train(blobs, epochs=50, lr=1e30, hidden=(8, 8))
    assert run.status == "diverged"
    assert run.history.height < 50
    assert math.isnan(run.history["train_loss"][-1]) or math.isinf(run.history["train_loss"][-1])


def test_ctrl_c_ends_after_the_current_step_and_keeps_the_run(blobs, tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def interrupt(event):
        if isinstance(event, EpochFinished) and event.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    run = train(blobs, epochs=10**6, out=tmp_path / "run", observers=[interrupt])
    assert run.status == "interrupted"
    assert run.history["epoch"][-1] in (3, 4)
    again = sp.load_run(tmp_path / "run")
    assert again.status == "interrupted"
    assert again.history.equals(run.history)
    assert bits(again) == bits(run)
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_outside_the_main_thread(blobs):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(train(blobs, epochs=1)))
    thread.start()
    thread.join()
    assert runs[0].status == "finished"


def test_torchs_generator_and_threads_are_left_alone(blobs):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(blobs, epochs=1, threads=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


class TestRefusals:
    """Nothing is written and no step is taken when something does not fit."""

    @pytest.mark.parametrize(
        ("model", "settings", "kind", "message"),
        [
            (
                nn.Linear(4, 2),
                {},
                TargetError,
                "the labels have 3 classes but the model gives 2 outputs",
            ),
            (nn.Linear(5, 3), {}, ModelError, r"the model cannot take a batch of shape \(2, 4\)"),
            (nn.Flatten(), {}, ModelError, "no parameter that requires a gradient"),
            ("mlp", {}, ModelError, "must be a torch.nn.Module or None, but is a str"),
            (nn.Linear(4, 3), {"hidden": (3,)}, RecipeError, "hidden describe the net that"),
            (None, {"lr": -1}, RecipeError, "lr must be a number above 0, or 'auto', but is -1"),
            (None, {"batch_size": 0}, RecipeError, "batch_size must be"),
            (None, {"epoch": 1}, RecipeError, "unknown setting 'epoch'; did you mean 'epochs'?"),
            (None, {"device": "cuda:99"}, RecipeError, "device 'cuda:99' cannot be used"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, blobs, tmp_path, model, settings, kind, message):
        with pytest.raises(kind, match=message):
            train(blobs, model, out=tmp_path / "run", **settings)
        assert not (tmp_path / "run").exists()

    def test_one_class_only(self, blobs):
        with pytest.raises(TargetError, match="one class"):
            train((blobs[0], np.zeros(180, dtype=int)))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_features_that_are_not_finite(self, blobs, bad):
        X, y = blobs[0].copy(), blobs[1]
        X[17, 2] = bad
        with pytest.raises(DataError, match="17"):
            train((X, y))

    def test_a_label_in_the_test_part_that_training_never_saw(self, blobs):
        X, y = blobs
        data = sp.load_data((X[y < 2], y[y < 2]), test=(X, y))
        with pytest.raises(TargetError, match="2"):
            train(data)

    def test_a_folder_that_holds_something(self, blobs, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(RunError, match="exists already and a run never overwrites"):
            train(blobs, out=tmp_path)
        assert (tmp_path / "thesis.txt").read_text() == "mine"

    def test_a_folder_that_cannot_be_written(self, blobs, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match=r"cannot write .*file/run: Not a directory; choose"):
            train(blobs, out=tmp_path / "file" / "run")

    def test_an_unknown_display(self, blobs):
        with pytest.raises(RecipeError, match="progress must be one of"):
            sp.train(None, blobs, progress="loud")


def test_a_dear_net_is_scored_on_a_share_of_the_training_rows(monkeypatch):
    """The scores of a short run of a dear net must not take longer than its steps."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 1, 16, 16)).astype(np.float32), np.arange(60) % 2
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 2))
    row = 2 * (9 * 8 * 14 * 14 + 8 * 14 * 14 * 2)
    monkeypatch.setattr("steepest.training.scoring._FREE_FLOPS", 12.5 * row)
    run = train((X, y), model, epochs=1, batch_size=10, validation=0.2, check=False)
    assert run.scores["train"].rows == 12
    assert run.scores["validation"].rows == 12
    monkeypatch.undo()
    run = train((X, y), model, epochs=1, batch_size=10, validation=0.2, check=False)
    assert run.scores["train"].rows == 48


def test_a_run_that_is_cut_short_is_scored_on_few_rows(monkeypatch, tmp_path):
    """After two steps of a large net its scores must not take as long as a hundred."""
    monkeypatch.setattr("steepest.training.scoring._FREE_FLOPS", 0.0)
    X, y = np.random.default_rng(0).normal(size=(400, 6)), np.arange(400) % 2
    np.savez(tmp_path / "rows.npz", X=X.astype(np.float32), y=y)
    settings = {"batch_size": 10, "validation": 0.25, "test": 0.25, "check": False}
    cut = train(str(tmp_path / "rows.npz"), epochs=2, time_limit=1e-9, **settings)
    steps = cut.history["step"].max()
    assert steps < 20
    held_out = int(1.5 * 10 * steps)
    rows = {name: score.rows for name, score in cut.scores.items()}
    assert rows == {"train": 10, "validation": held_out, "test": held_out}
    cut.save(tmp_path / "run")
    assert sp.load_run(tmp_path / "run").evaluate().rows == 100  # of the same file, all of them
    whole = train(str(tmp_path / "rows.npz"), epochs=1, **settings)
    assert {name: score.rows for name, score in whole.scores.items()}["test"] == 100


def test_a_time_limit_ends_one_net_too_and_more_time_goes_on(blobs, tmp_path):
    settings = {"hidden": (64,), "epochs": 10**6, "batch_size": 8, "progress": "none"}
    run = sp.train(None, blobs, time_limit=0.3, out=tmp_path / "run", **settings)
    assert run.status == "finished"
    assert "the time limit of 0.3 s was over after step" in run.record.table("events")["text"][-1]
    done = run.history["step"].max()
    again = sp.resume(tmp_path / "run", data=blobs, time_limit=0.6, progress="none")
    assert again.history["step"].max() > done


def test_rows_are_scored_though_one_is_dear_and_no_step_was_taken(blobs):
    """Ctrl-C before the first step of a net of more than a GFLOP a row."""
    prepared = prepare(None, blobs, sp.Recipe(hidden=(4,), validation=0.2))
    dear = Scoring(replace(prepared, row_flops=1e10))
    assert {name: score.rows for name, score in dear.final(0).items()} == {
        "validation": 1,
        "train": 32,
    }
