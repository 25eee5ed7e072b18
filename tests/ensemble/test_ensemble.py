"""Several nets in one run: one classifier, one module, one folder, the same numbers after a stop."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import steepest as sp
from steepest.cli import main
from steepest.errors import DataError, RunError, SteepestWarning
from steepest.report import plot_layers
from steepest.run import EpochFinished, RunStopped

SMALL = {"preset": "tabular", "members": 4, "hidden": (16,), "progress": "none"}


def table(rows=120, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 4))
    y = np.digitize(x[:, 0] + x[:, 1] ** 2, [0.3, 1.5][: classes - 1])
    words = np.array(["red", "green", "blue"])[rng.integers(0, 3, rows)]
    gaps = np.where(rng.random(rows) < 0.1, np.nan, x[:, 2])
    return pl.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "c": gaps, "w": words, "kind": [f"k{i}" for i in y]}
    )


@pytest.fixture(scope="module")
def run():
    return sp.train(None, table(), target="kind", epochs=6, test=0.2, **SMALL)


def weights_of(run):
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_the_module_alone_has_the_probabilities_of_the_classifier(run):
    rows = table(30, seed=1)
    inputs = run.classifier.preprocessing.prepare(run.classifier.read(rows))
    with torch.no_grad():
        rows_as_fed = torch.from_numpy(inputs.block(0, len(inputs)))
        found = torch.softmax(run.model(rows_as_fed).double(), dim=1)
    np.testing.assert_allclose(run.classifier.predict_proba(rows), found.numpy(), rtol=1e-5)


def test_the_module_is_the_weighted_mean_of_its_members_sharpened(run):
    x = torch.randn(9, run.classifier.preprocessing.shape[0])
    model = run.model
    mean = sum(
        w * torch.softmax(m(x[:, a:b]).double(), 1)
        for w, m, (a, b) in zip(model.weights.double(), model.members, model.spans, strict=True)
    )
    expected = torch.softmax(mean.log() / model.temperature.double(), 1)
    found = torch.softmax(model(x).double(), 1)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert float(model.weights.sum()) == pytest.approx(1)


def test_a_binary_ensemble_gives_one_logit():
    run = sp.train(None, table(classes=2), target="kind", epochs=3, **SMALL)
    x = torch.randn(9, run.classifier.preprocessing.shape[0])
    model = run.model
    mean = sum(
        w * torch.sigmoid(m(x[:, a:b]).double())
        for w, m, (a, b) in zip(model.weights.double(), model.members, model.spans, strict=True)
    )
    expected = torch.logit(mean) / model.temperature.double()
    torch.testing.assert_close(model(x).double(), expected, atol=1e-5, rtol=1e-5)


def test_it_learns_and_its_held_out_score_is_that_of_rows_not_seen(run):
    evaluation = run.classifier.evaluate(table(600, seed=9), target="kind")
    sharp = sp.train(None, table(400), target="kind", epochs=30, **(SMALL | {"members": 8}))
    unseen = sharp.classifier.evaluate(table(2000, seed=9), target="kind")
    assert unseen.accuracy > max(evaluation.accuracy, 0.8)
    assert sharp.scores["validation"].rows == 400
    assert sharp.scores["validation"].loss == pytest.approx(unseen.loss, abs=0.12)
    assert set(run.scores) == {"train", "validation", "test"}


def test_without_rows_apart_evaluate_names_the_score_that_there_is():
    run = sp.train(None, table(), target="kind", epochs=1, **SMALL)
    with pytest.raises(RunError, match=r"pass the rows to evaluate \(scores\['validation'\] is of"):
        run.evaluate()


def test_a_saved_ensemble_predicts_the_same(run, tmp_path):
    again = sp.load_run(run.save(tmp_path / "run"))
    assert_same(weights_of(run), weights_of(again))
    rows = table(30, seed=1)
    np.testing.assert_array_equal(
        again.classifier.predict_proba(rows), run.classifier.predict_proba(rows)
    )
    assert again.recipe == run.recipe
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"model.safetensors", "classifier.json"} <= names


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_any_number_of_threads_gives_the_same_bits(engine):
    runs = [
        sp.train(None, table(60), target="kind", epochs=2, engine=engine, threads=n, **SMALL)
        for n in (1, 3)
    ]
    assert_same(*map(weights_of, runs))
    assert runs[0].history.drop("seconds").equals(runs[1].history.drop("seconds"))


def test_the_engines_agree():
    one, other = (
        sp.train(None, table(60), target="kind", epochs=3, engine=engine, **SMALL)
        for engine in ("native", "torch")
    )
    rows = table(50, seed=2)
    np.testing.assert_allclose(
        one.classifier.predict_proba(rows), other.classifier.predict_proba(rows), atol=2e-3
    )
    keys = ["step", "net", "name"]
    assert one.layers.select(keys).equals(other.layers.select(keys))
    numbers = (run.layers.drop(keys).to_numpy() for run in (one, other))
    np.testing.assert_allclose(*numbers, rtol=0.01, atol=1e-4)


def test_each_layer_of_each_net_is_recorded_after_each_epoch_and_drawn(run):
    layers = run.layers
    assert layers["step"].unique().to_list() == run.history["step"].to_list()
    assert layers["net"].to_list() == [k for _ in range(6) for k in range(4) for _ in range(2)]
    assert (layers["weight_norm"] > 0).all()
    lines = {line.get_label(): line for line in plot_layers(layers, "weight_norm").lines}
    name = layers["name"][0]
    of_first = layers.filter(pl.col("name") == name)["weight_norm"].to_numpy().reshape(6, 4)
    np.testing.assert_allclose(lines[name].get_ydata(), np.median(of_first, axis=1))


def test_the_record_has_a_row_an_epoch_and_counts_the_steps_of_all(run):
    assert run.history["epoch"].to_list() == list(range(6))
    per_epoch = run.history["step"].diff().drop_nulls()
    assert per_epoch.n_unique() == 1
    assert run.info["rows"] == 96
    assert run.status == "finished"


class StopAfter:
    """Asks to stop, as Ctrl-C does, by raising when an epoch is done."""

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, event):
        if isinstance(event, EpochFinished) and event.epoch == self.epoch:
            raise ZeroDivisionError


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_run_that_was_stopped_ends_as_one_that_never_was(engine, tmp_path):
    data = table(80)
    data.write_csv(tmp_path / "table.csv")
    settings = SMALL | {"target": "kind", "epochs": 7, "engine": engine}
    whole = sp.train(None, tmp_path / "table.csv", out=tmp_path / "whole", **settings)
    with pytest.raises(ZeroDivisionError):
        sp.train(
            None,
            tmp_path / "table.csv",
            out=tmp_path / "cut",
            observers=[StopAfter(2)],
            **settings,
        )
    assert sp.load_run(tmp_path / "cut").status == "interrupted"
    again = sp.resume(tmp_path / "cut", progress="none")
    assert_same(weights_of(whole), weights_of(again))
    assert whole.history.drop("seconds").equals(again.history.drop("seconds"))
    assert whole.layers.equals(again.layers)
    assert whole.scores == again.scores
    with pytest.warns(SteepestWarning, match="has ended and nothing was trained"):
        assert_same(weights_of(sp.resume(tmp_path / "cut", progress="none")), weights_of(whole))


def test_a_run_that_is_killed_goes_on_from_its_checkpoint(tmp_path):
    """SIGKILL in the middle of an epoch: what is done is not done again, and the end is the same."""
    data = table(400)
    data.write_csv(tmp_path / "table.csv")
    settings = {"preset": "tabular", "members": 4, "epochs": 25, "hidden": (64,)}
    code = (
        "import steepest as sp; sp.train(None, 'table.csv', target='kind', progress='none', "
        f"out='cut', checkpoint_epochs=1, checkpoint_every=1e9, **{settings})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    checkpoints = tmp_path / "cut" / "checkpoints"
    for _ in range(2000):
        done = checkpoints.is_dir() and len(list(checkpoints.glob("*.json"))) >= 2
        if done or process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    whole = sp.train(None, tmp_path / "table.csv", target="kind", progress="none", **settings)
    again = sp.resume(tmp_path / "cut", progress="none")
    assert_same(weights_of(whole), weights_of(again))
    assert again.history["epoch"].to_list() == whole.history["epoch"].to_list()


def test_other_rows_are_refused_on_resume(tmp_path):
    with pytest.raises(ZeroDivisionError):
        sp.train(
            None, table(60), target="kind", out=tmp_path / "run", observers=[StopAfter(0)],
            epochs=4, **SMALL,
        )  # fmt: skip
    with pytest.raises(RunError, match="training rows are not those of the checkpoint"):
        sp.resume(tmp_path / "run", data=table(60, seed=3), progress="none")
    with pytest.raises(RunError, match="cannot go on with another members"):
        sp.resume(tmp_path / "run", data=table(60), members=9, progress="none")


def test_observers_change_nothing():
    seen = []
    one = sp.train(None, table(60), target="kind", epochs=2, observers=[seen.append], **SMALL)
    other = sp.train(None, table(60), target="kind", epochs=2, **SMALL)
    assert_same(weights_of(one), weights_of(other))
    assert isinstance(seen[-1], RunStopped)


def test_a_time_limit_is_kept():
    data = table(3000)
    since = time.perf_counter()
    run = sp.train(None, data, target="kind", preset="tabular", time_limit=3.0, progress="none")
    assert time.perf_counter() - since < 4.5  # a busy machine is late with what comes after
    assert run.status == "finished"
    assert "time limit of 3 s" in run.record.table("events")["text"][-1] or run.history.height == 60


def test_a_limit_that_leaves_no_time_gives_a_classifier_all_the_same():
    run = sp.train(None, table(60), target="kind", time_limit=1e-6, **SMALL)
    assert np.isfinite(run.classifier.predict_proba(table(5))).all()


def test_members_without_a_preset_are_nets_of_that_recipe():
    run = sp.train(
        None, table(60), target="kind", members=3, hidden=(8,), lr=0.1, epochs=2, progress="none"
    )
    assert len(run.model.members) == 3
    assert run.recipe.preset is None
    assert len(set(run.model.spans)) == 1


def test_a_net_that_diverges_is_left_out_and_named():
    run = sp.train(None, table(60), target="kind", epochs=2, lr=1e30, **SMALL)
    assert run.status in ("finished", "diverged")
    assert np.isfinite(run.classifier.predict_proba(table(5))).all()
    assert {"LR_TOO_HIGH", "PREMATURE_NAN"} & set(run.findings.codes)  # as time allows what-ifs
    assert "nets 0, 1, 2, 3 of 4:" in run.findings[0].message


@pytest.mark.parametrize(
    ("frame", "rows"),
    [
        (table(10), 10),
        (table(60).with_columns(one=pl.lit(1.0), nothing=pl.lit(None, pl.Float64)), 60),
        (table(60).select("w", "kind"), 60),
        (pl.concat([table(60), table(60)[:2].with_columns(kind=pl.lit("rare"))]), 62),
        (pl.concat([table(60), table(60)[:1].with_columns(kind=pl.lit("one"))]), 61),
        (pl.DataFrame({"a": [1.0, 2.0], "kind": ["x", "y"]}), 2),
    ],
    ids=["ten rows", "constant", "words alone", "a class of two", "a class of one", "two rows"],
)
def test_odd_tables_are_taken(frame, rows):
    run = sp.train(None, frame, target="kind", epochs=2, **SMALL)
    found = run.classifier.predict_proba(frame)
    assert found.shape == (rows, frame["kind"].n_unique())
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_wide_table_is_taken():
    x = np.random.default_rng(0).standard_normal((30, 10_000)).astype(np.float32)
    run = sp.train(None, (x, np.arange(30) % 2), epochs=1, members=2, progress="none")
    assert run.classifier.predict_proba(x).shape == (30, 2)
    assert run.model.spans == ((0, 10_000),) * 2


def test_one_row_is_refused():
    with pytest.raises(DataError):
        sp.train(None, pl.DataFrame({"a": [1.0], "kind": ["x"]}), target="kind", **SMALL)


def exit_code(arguments):
    try:
        main(arguments.split())
    except SystemExit as end:
        return end.code
    return 0


def test_the_command_line_trains_predicts_and_reports(tmp_path, capsys, monkeypatch):
    table(80).write_csv(tmp_path / "customers.csv")
    monkeypatch.chdir(tmp_path)
    for arguments in (
        "train customers.csv --target kind --epochs 2 --members 2 --out run --json",
        "evaluate run customers.csv",
        "predict run customers.csv -o found.csv --proba",
    ):
        assert not exit_code(arguments), arguments
    assert pl.read_csv(tmp_path / "found.csv").height == 80
    text = capsys.readouterr().out
    assert json.loads(text[: text.index("\n}") + 2])["recipe"]["preset"] == "tabular"


def test_the_weights_are_plain_tensors_by_name(run):
    state = run.model.state_dict()
    assert {"weights", "temperature"} <= state.keys()
    fresh = torch.nn.ModuleList(run.model.members)
    inner = {k.removeprefix("members."): v for k, v in state.items() if k.startswith("members.")}
    fresh.load_state_dict(inner)


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    with pytest.raises(ZeroDivisionError):
        sp.train(
            None, table(60), target="kind", out=tmp_path / "run", observers=[StopAfter(2)],
            epochs=4, checkpoint_epochs=1, **SMALL,
        )  # fmt: skip
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-8] + b"damaged!")
    again = sp.resume(tmp_path / "run", data=table(60), progress="none")
    whole = sp.train(None, table(60), target="kind", epochs=4, **SMALL)
    assert_same(weights_of(whole), weights_of(again))


def weighted(frame, weights):
    return replace(sp.load_data(frame, target="kind").train, weights=weights)


def test_weights_of_rows_count_and_those_of_0_are_not_there():
    frame = table(80)
    weights = np.where(np.arange(80) < 60, 1.0, 0.0).astype(np.float32)
    one = sp.train(None, weighted(frame, weights), epochs=2, **SMALL)
    other = sp.train(None, weighted(frame[:60], weights[:60]), epochs=2, **SMALL)
    assert_same(weights_of(one), weights_of(other))
    heavy = np.where(frame["kind"] == "k0", 50.0, 1.0).astype(np.float32)
    tilted = sp.train(None, weighted(frame, heavy), epochs=20, **SMALL)
    even = sp.train(None, frame, target="kind", epochs=20, **SMALL)
    means = [r.classifier.predict_proba(frame)[:, 0].mean() for r in (tilted, even)]
    assert means[0] > means[1] + 0.1


def test_ctrl_c_in_the_middle_keeps_the_run(tmp_path):
    def interrupt(event):
        if isinstance(event, EpochFinished) and event.epoch == 1:
            signal.raise_signal(signal.SIGINT)

    run = sp.train(
        None, table(80), target="kind", epochs=5, out=tmp_path / "run", observers=[interrupt],
        **SMALL,
    )  # fmt: skip
    assert run.status == "interrupted"
    assert run.classifier.predict(table(5)).shape == (5,)
    whole = sp.train(None, table(80), target="kind", epochs=5, **SMALL)
    again = sp.resume(tmp_path / "run", data=table(80), progress="none")
    assert_same(weights_of(whole), weights_of(again))


def test_a_report_is_written(run, tmp_path):
    page = run.report(tmp_path / "report.html", samples=table(60, seed=4), target="kind")
    text = page.read_text("utf-8")
    assert "Ensemble" in text
    assert "Updates beside weights by layer" in text


def test_labels_of_several_classes_are_trained():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 3))
    tags = (x > 0).astype(int)
    run = sp.train(None, (x, tags), task="multilabel", epochs=20, **(SMALL | {"members": 8}))
    assert run.classifier.predict(x).shape == (80, 3)
    assert run.classifier.score(x, tags) > 0.7
