"""Loggers against the real trackers: what was written is read back by the tracker's own means."""

import json
import sqlite3
import threading
import time
from contextlib import closing

import pytest

import steepest as sp
from steepest import loggers
from steepest.errors import MissingExtra, RecipeError, SteepestWarning
from steepest.loggers import logger_from

RECIPE = sp.Recipe(epochs=3, hidden=(3,), batch_size=60, log_every=1, lr=0.25)


@pytest.fixture(scope="module")
def data():
    import numpy as np

    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 60)
    X = rng.normal(0, 6, (3, 4))[y] + rng.normal(0, 1, (180, 4))
    return sp.split(sp.load_data((X.astype(np.float32), y)), validation=0.2, seed=0)


def trained(logger, data, **more):
    return sp.train(None, data, RECIPE, observers=[logger], progress="none", **more)


def expected(run):
    """(step, train_loss) of each epoch, from the record."""
    return list(zip(run.history["step"], run.history["train_loss"], strict=True))


def test_tensorboard_has_every_interval_epoch_setting_and_how_it_ended(data, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = trained(sp.loggers.TensorBoard(tmp_path / "tb"), data)
    read = EventAccumulator(str(tmp_path / "tb"), size_guidance={"scalars": 0})
    read.Reload()
    epochs = [(e.step, e.value) for e in read.Scalars("epoch/train_loss")]
    assert epochs == [(step, pytest.approx(loss)) for step, loss in expected(run)]
    intervals = run.record.table("intervals")
    assert [e.step for e in read.Scalars("step/loss")] == intervals["step"].to_list()
    layer = run.record.table("layers")["name"][0]
    assert len(read.Scalars(f"layer/{layer}/weight_norm")) == intervals.height
    assert read.Scalars("score/validation_acc")[0].value == pytest.approx(
        run.scores["validation"].accuracy
    )
    ended = read.Tensors("end/text_summary")[0].tensor_proto.string_val[0].decode()
    assert ended.startswith("finished: ")
    settings = read.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"batch_size" in settings


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own use of SQLAlchemy
def test_mlflow_has_them_in_a_sqlite_file(data, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    logger = sp.loggers.MLflow(uri, experiment="blobs", name="first")
    run = trained(logger, data)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("blobs").experiment_id
    (found,) = client.search_runs([experiment])
    assert found.info.run_id == logger.run_id
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.data.params["lr"] == "0.25"
    epochs = [
        (m.step, m.value) for m in client.get_metric_history(logger.run_id, "epoch/train_loss")
    ]
    assert epochs == expected(run)
    assert found.data.metrics["score/train_loss"] == run.scores["train"].loss
    assert found.data.tags["end"].startswith(f"step {run.history['step'][-1]}: finished")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own use of SQLAlchemy
def test_mlflow_goes_on_with_a_run_that_was_interrupted(data, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    logger = sp.loggers.MLflow(uri)

    def enough(event):
        if getattr(event, "epoch", 0) == 1:
            raise StopIteration

    with pytest.raises(StopIteration):
        sp.train(
            None,
            data,
            RECIPE,
            out=tmp_path / "run",
            observers=[enough, logger],
            progress="none",
        )
    assert mlflow.MlflowClient(uri).get_run(logger.run_id).info.status == "KILLED"
    again = sp.loggers.MLflow(uri, run_id=logger.run_id)
    run = sp.resume(tmp_path / "run", data=data, observers=[again], progress="none")
    client = mlflow.MlflowClient(uri)
    assert client.get_run(logger.run_id).info.status == "FINISHED"
    history = client.get_metric_history(logger.run_id, "epoch/train_loss")
    assert dict(expected(run)).items() <= {m.step: m.value for m in history}.items()


def test_wandb_writes_an_offline_run(data, tmp_path):
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    run = trained(sp.loggers.WandB("blobs", tmp_path, name="first"), data)
    (path,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    rows, config, exit_code = [], {}, None
    for content in _whole(path):
        record = wandb_internal_pb2.Record.FromString(content)
        if record.HasField("history"):
            items = record.history.item
            row = {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in items}
            rows.append((record.history.step.num, row))
        if record.HasField("run"):
            config |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
        if record.HasField("exit"):
            exit_code = record.exit.exit_code
    epochs = [(step, row["epoch/train_loss"]) for step, row in rows if "epoch/train_loss" in row]
    assert epochs == expected(run)
    assert config["lr"] == 0.25
    assert exit_code == 0


def _whole(path):
    """Its records when the last one is there: the library's other process may still be writing."""
    until = time.monotonic() + 30
    while not any(_ends(content) for content in _wandb_records(path)):
        assert time.monotonic() < until, "the file has no end"
        time.sleep(0.05)
    return list(_wandb_records(path))


def _ends(content):
    from wandb.proto import wandb_internal_pb2

    return wandb_internal_pb2.Record.FromString(content).HasField("exit")


def _wandb_records(path):
    """The records of a W&B file: LevelDB's log format, blocks of 32 KiB behind a header of 7."""
    data = path.read_bytes()
    place, whole = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield whole
            whole = b""


def test_trackio_keeps_them_in_its_database(data, tmp_path, monkeypatch, capsys):
    pytest.importorskip("trackio")
    from trackio import sqlite_storage, utils

    for module in (sqlite_storage, utils):
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path)
    run = trained(sp.loggers.Trackio("blobs", name="first"), data)
    logs = sqlite_storage.SQLiteStorage.get_logs("blobs", "first")
    epochs = [(row["step"], row["epoch/train_loss"]) for row in logs if "epoch/train_loss" in row]
    assert epochs == expected(run)
    assert any(row.get("end", "").startswith("finished") for row in logs)
    (database,) = tmp_path.glob("*.db")
    with closing(sqlite3.connect(database)) as connection:
        (config,) = connection.execute("SELECT config FROM configs").fetchone()
    assert json.loads(config)["lr"] == 0.25
    assert capsys.readouterr().out == ""  # where `steepest train --json` prints


class Kept(loggers.Logger):
    """A tracker in memory that may fail, or wait, at a call."""

    def __init__(self, fails="", waits=None):
        super().__init__()
        self.fails, self.waits = fails, waits
        self.rows, self.notes, self.status, self.settings = [], [], None, None

    def _called(self, name):
        if self.waits is not None:
            self.waits.wait(20)
        if name == self.fails:
            raise SystemExit("the disk is full\nand more")

    def open(self, settings, step):
        self._called("open")
        self.settings, self.began = settings, step

    def write(self, step, row):
        self._called("write")
        self.rows.append((step, row))

    def note(self, step, name, text):
        self._called("note")
        self.notes.append((step, name, text))

    def end(self, status):
        self._called("end")
        self.status = status


@pytest.mark.parametrize("call", ["open", "write", "note", "end"])
@pytest.mark.parametrize("members", [1, 2])
def test_one_that_fails_ends_no_training_and_is_told_in_one_line(data, call, members):
    more = {"members": members} if members > 1 else {}
    told = []
    with pytest.warns(SteepestWarning, match="SystemExit: the disk is full") as warned:
        run = sp.train(
            None,
            data,
            RECIPE,
            observers=[Kept(fails=call), told.append],
            progress="none",
            check=False,
            watch=False,
            **more,
        )
    ours = [w for w in warned if "the logger Kept failed" in str(w.message)]
    assert len(ours) == 1
    assert "\n" not in str(ours[0].message)
    assert run.status == "finished"
    assert type(told[-1]).__name__ == "RunStopped"


def test_where_warnings_are_errors_it_ends_no_training_either(data):
    assert trained(Kept(fails="write"), data).status == "finished"  # pytest makes them errors


def test_the_training_does_not_wait_for_a_slow_tracker_but_its_end_does(data):
    release = threading.Event()
    slow = Kept(waits=release)
    seen = []

    def last(event):
        if type(event).__name__ == "EpochFinished":
            seen.append(len(slow.rows))
        if len(seen) == 3:
            release.set()

    run = sp.train(None, data, RECIPE, observers=[last, slow], progress="none")
    assert seen == [0, 0, 0]
    assert [step for step, row in slow.rows if "epoch/train_loss" in row] == list(
        run.history["step"]
    )
    assert slow.status == "finished"


def test_one_that_hangs_is_given_up(data, monkeypatch):
    monkeypatch.setattr(loggers.logger, "_SECONDS_WITHOUT_PROGRESS", 0.05)
    never = threading.Event()
    with pytest.warns(SteepestWarning, match="took nothing for"):
        run = trained(Kept(waits=never), data)
    never.set()
    assert run.status == "finished"


def test_a_queue_that_is_full_of_rows_drops_none(data, monkeypatch):
    monkeypatch.setattr(loggers.logger, "_EVENTS_WAITING", 1)
    kept = Kept()
    run = trained(kept, data)
    steps = [step for step, row in kept.rows if "step/loss" in row]
    assert steps == run.record.table("intervals")["step"].to_list()


def test_several_nets_are_logged_too(data):
    kept = Kept()
    run = trained(kept, data, members=2)
    assert kept.status == "finished"
    assert kept.settings["members"] == 2
    assert [step for step, row in kept.rows if "epoch/train_loss" in row] == list(
        run.history["step"]
    )


def test_it_is_closed_where_the_training_ends_with_an_error(data, monkeypatch):
    from steepest.training.descent import Descent

    def broken(self):
        raise RuntimeError("mine")

    monkeypatch.setattr(Descent, "_finish_epoch", lambda self, stopped: broken(self))
    kept = Kept()
    with pytest.raises(RuntimeError, match="mine"):
        trained(kept, data)
    assert kept.status == "failed"
    assert [step for step, row in kept.rows if "step/loss" in row]


def test_the_numbers_of_a_run_are_the_same_with_loggers(data):
    import torch

    alone = sp.train(None, data, RECIPE, progress="none")
    logged = trained(Kept(), data)
    for p, q in zip(alone.model.parameters(), logged.model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_the_command_line_names_loggers(steepest, table, tmp_path):
    pytest.importorskip("tensorboard")
    line = ["train", table, "--target", "churned", "--hidden", "4", "--epochs", "2"]
    ended = steepest(*line, "--out", "run", "--log", "tensorboard:tb", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["status"] == "finished"
    assert list((tmp_path / "tb").glob("events.out.tfevents.*"))
    ended = steepest("resume", "run", "--epochs", "3", "--log", "tensorboard:tb")
    assert ended.code == 0, ended.err
    assert len(list((tmp_path / "tb").glob("events.out.tfevents.*"))) == 2


def test_a_name_that_is_none_and_a_place_that_lacks_are_told():
    with pytest.raises(RecipeError, match="no logger 'tensorbord'; did you mean 'tensorboard'"):
        logger_from("tensorbord:x")
    with pytest.raises(RecipeError, match="needs a place: mlflow:URI"):
        logger_from("mlflow")


def test_a_package_that_lacks_is_told_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(loggers.logger, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"steepest\[tensorboard\]"):
        sp.loggers.TensorBoard(tmp_path)
