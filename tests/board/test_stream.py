"""What a page of a run is told while it trains, and that no training waits for it."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

import steepest as sp
from board.serving import serving, small_data
from steepest.board.index import Index
from steepest.board.reading import run_record
from steepest.board.series import Cursor, rows_between
from steepest.board.stream import RunStream
from steepest.board.summary import best_epoch
from steepest.records import sqlite as records_sqlite
from steepest.run import Record
from steepest.sweeps.record import SweepRecord

RECIPE = sp.Recipe(hidden=(4,), epochs=6, validation=0.25, log_every=2)


@pytest.fixture
def stream(tmp_path):
    """`news` and `state` of a run in tmp_path/run, as a page that is open gets them."""
    sp.train(None, small_data(), RECIPE, out=tmp_path / "run", progress="none")
    index = Index(tmp_path)
    index.changes(0)
    (id_,) = index._runs
    return RunStream(index, id_, tmp_path / "run", "", 1600)


def test_first_all_is_told_and_then_only_what_is_new(stream, tmp_path):
    kind, told = stream.news()
    assert (kind, told["epochs"]["epoch"], told["epochs"]["step"][-1]) == (
        "snapshot",
        [*range(6)],
        12,
    )
    assert [step["step"] for step in told["layers"]] == told["intervals"]["step"]
    assert stream.news() is None
    sp.resume(tmp_path / "run", data=small_data(), epochs=8, progress="none")
    kind, told = stream.news()  # it was told where the run went on from
    assert (kind, told["epochs"]["epoch"]) == ("snapshot", [*range(8)])
    with closing(Record.reopen(tmp_path / "run" / "record.sqlite")) as record:
        row = (8, 18, 0.5, 0.9, 0.6, 0.8, 0.1, 1.0)
        record._insert("epochs", row)
    kind, told = stream.news()
    assert (kind, told["epochs"]["epoch"], told["intervals"]["step"]) == ("delta", [8], [])


def test_a_reader_in_the_middle_of_a_record_never_holds_up_its_writer(tmp_path):
    path = tmp_path / "record.sqlite"
    (tmp_path / "layout.json").write_text('{"layout": 1}')
    with closing(Record.create(path)) as record:
        record._insert("events", (0.0, "note", "first"))
        record.commit()
        record._connection.execute("PRAGMA busy_timeout = 0")  # to wait is to fail
        with run_record(tmp_path) as reading:
            reading.execute("SELECT * FROM events").fetchone()
            for i in range(50):
                record._insert("events", (float(i), "note", "more"))
                record.commit()
            assert reading.execute("SELECT count(*) FROM events").fetchone() == (1,)


@pytest.fixture(params=["run", "sweep"])
def read_and_written(request, tmp_path):
    """A record, and a connection that began to read it before its last rows were written."""
    if request.param == "run":
        record = Record.create(tmp_path / "record.sqlite")
        path = tmp_path / "record.sqlite"
    else:
        record = SweepRecord.create(tmp_path)
        path = tmp_path / "sweep.sqlite"
    reading = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    reading.execute("BEGIN")
    assert reading.execute("SELECT count(*) FROM facts").fetchone() == (0,)
    with closing(reading), closing(record):
        record._connection.execute("INSERT INTO facts VALUES ('late', '1')")
        yield path, reading, record


def test_the_end_waits_for_a_reader_and_leaves_one_file(read_and_written):
    path, reading, record = read_and_written
    letting_go = threading.Timer(0.3, reading.close)
    letting_go.start()
    record.close()
    letting_go.join()
    assert [*path.parent.iterdir()] == [path]


def test_a_reader_that_does_not_let_go_keeps_the_end_for_a_moment_only(
    read_and_written, monkeypatch
):
    monkeypatch.setattr(records_sqlite, "_PATIENCE", 0.05)
    path, reading, record = read_and_written
    record.close()
    assert Path(f"{path}-wal").exists()
    assert reading.execute("SELECT count(*) FROM facts").fetchone() == (0,)
    with closing(sqlite3.connect(path)) as later:
        assert later.execute("SELECT * FROM facts").fetchall() == [("late", "1")]


def test_a_training_that_is_watched_ends_as_one_that_is_not(tmp_path):
    """Same weights, and one plain file in the end: nobody holds the record open."""
    alone = sp.train(None, small_data(), RECIPE, progress="none")
    with serving(tmp_path) as board:
        training = threading.Thread(
            target=sp.train,
            args=(None, small_data(), RECIPE.replace(epochs=400)),
            kwargs={"out": tmp_path / "run", "progress": "none"},
        )
        training.start()
        deadline = time.monotonic() + 20
        while not (rows := board.runs()) and time.monotonic() < deadline:
            time.sleep(0.02)
        with board.connect() as connection:
            ask = f"GET /api/runs/{rows['run']['id']}/stream HTTP/1.1\r\nHost: 127.0.0.1:{board.port}\r\n\r\n"
            connection.sendall(ask.encode())
            read = connection.makefile("rb")
            epochs = []
            while not epochs or epochs[-1] < 399:
                line = read.readline()
                if line.startswith(b"data: ") and b'"epochs":{' in line:
                    epochs += json.loads(line[6:])["epochs"]["epoch"]
            training.join()
        assert epochs == list(range(400))
        assert board.runs()["run"]["state"] == "finished"
    assert not list(tmp_path.glob("run/record.sqlite-*"))
    watched = sp.load_run(tmp_path / "run")
    assert watched.history["epoch"].to_list() == epochs
    assert watched.history["train_loss"].to_list()[:6] == alone.history["train_loss"].to_list()


def test_long_tables_are_thinned_out_to_their_extremes(tmp_path):
    (tmp_path / "layout.json").write_text('{"layout": 1}')
    with closing(Record.create(tmp_path / "record.sqlite")) as record:
        for i in range(50_000):
            loss = 99.0 if i == 31_415 else -7.0 if i == 27_182 else i % 7 / 7
            record._insert("intervals", (0, i, i, 0.1, 32, loss, 0.5))
        for step in range(0, 250_000, 10):
            for name in ("0", "2", "4"):
                record._insert("layers", (step, name, 1.0, 1.0, step / 1e6, 0.0, 1.0, 0.0))
        record._insert("intervals", (0, 1, 50_000, 0.1, 32, float("nan"), 0.5))
        record.commit()
        with run_record(tmp_path) as connection:
            told = rows_between(connection, Cursor(), Cursor.of(connection), 1000)
    losses, steps = told["intervals"]["loss"], told["intervals"]["step"]
    assert 500 <= len(losses) <= 1010
    assert steps == sorted(steps)
    assert (steps[0], steps[-1], losses[-1]) == (0, 50_000, "NaN")
    assert {99.0, -7.0} <= set(losses)
    assert len(told["layers"]) == 240
    assert all(one["name"] == ["0", "2", "4"] for one in told["layers"])
    assert told["layers"][-1]["step"] == 249_990


@pytest.mark.parametrize(
    "text", ["", "e1", "e1.i2.l3.v4.f5.m6.n7; DROP", "e-1.i0.l0.v0.f0.m0.n0", "e" + "9" * 99]
)
def test_a_cursor_that_is_none_begins_anew(text):
    assert Cursor.parse(text) == Cursor()
    assert Cursor.parse(str(Cursor(1, 2, 3, 4, 5, 6, 7))) == Cursor(1, 2, 3, 4, 5, 6, 7)


def test_a_table_can_be_taken_with_all_its_rows(board):
    row = board.runs()["runs/good"]
    lines = board.ask(f"/api/runs/{row['id']}/tables/epochs.csv").body.decode().splitlines()
    assert lines[0] == "epoch,step,train_loss,train_acc,val_loss,val_acc,lr,seconds"
    assert len(lines) == 7
    for other in ("facts", "findings", "sqlite_schema", "epochs;x"):
        assert board.ask(f"/api/runs/{row['id']}/tables/{other}.csv").status == 404


def test_nets_of_one_run_and_what_the_best_is_the_best_by_are_told_too(tmp_path):
    recipe = RECIPE.replace(members=2, best_by="balanced_accuracy")
    run = sp.train(None, small_data(), recipe, out=tmp_path / "run", progress="none")
    with run_record(tmp_path / "run") as connection:
        told = rows_between(connection, Cursor(), Cursor.of(connection), 1000)
        best = best_epoch(connection, "balanced_accuracy")
    first = told["layers"][0]
    assert [name.partition(":")[0] for name in first["name"]] == ["net 0"] * 2 + ["net 1"] * 2
    values = {step: value for step, name, value in told["metrics"] if name == "balanced_accuracy"}
    history = run.history
    assert values == dict(history.select("step", "val_balanced_accuracy").rows())
    top = history.sort("val_balanced_accuracy", descending=True, maintain_order=True).row(
        0, named=True
    )
    assert best == (top["epoch"], top["val_loss"], top["val_acc"])
