"""An observer that raises ends the training as Ctrl-C does; its exception comes back unchanged."""

import sqlite3
from contextlib import closing

import pytest
import torch

import steepest as sp
from steepest.errors import RunError
from steepest.run import Record

QUICK = {"epochs": 3, "hidden": (3,), "batch_size": 60, "check": False, "watch": False}


class MineError(Exception):
    pass


def raising(kind, error):
    def observe(event):
        if type(event).__name__ == kind:
            raise error

    return observe


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("error", [MineError("mine"), SystemExit(3)])
def test_the_run_is_saved_and_goes_on_to_the_same_bits(blobs, tmp_path, engine, error):
    settings = {**QUICK, "engine": engine, "progress": "none"}
    whole = sp.train(None, blobs, **settings)
    told = []
    observers = [raising("EpochFinished", error), told.append]
    with pytest.raises(type(error)) as raised:
        sp.train(None, blobs, out=tmp_path / "run", observers=observers, **settings)
    assert raised.value is error
    assert "the run ends as interrupted, and was saved in" in raised.value.__notes__[-1]
    assert type(told[-1]).__name__ == "RunStopped"  # the others are told to the end
    run = sp.load_run(tmp_path / "run")
    assert run.status == "interrupted"
    last = run.record.table("events")["text"][-1]
    assert f"stopped by an observer that raised {type(error).__name__} after step" in last
    again = sp.resume(tmp_path / "run", data=blobs, progress="none")
    for p, q in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("kind", ["RunStarted", "RunStopped"])
def test_at_the_ends_and_without_a_folder(blobs, kind):
    model = sp.mlp(4, [3], 3, seed=0)
    before = [p.clone() for p in model.parameters()]
    settings = {name: value for name, value in QUICK.items() if name != "hidden"}
    observers = [raising(kind, MineError())]
    with pytest.raises(MineError) as raised:
        sp.train(model, blobs, observers=observers, progress="none", **settings)
    status = "interrupted" if kind == "RunStarted" else "finished"
    assert f"ends as {status}; the model has the weights of then" in raised.value.__notes__[-1]
    assert not all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_a_closed_record_is_closed(blobs, tmp_path):
    run = sp.train(None, blobs, out=tmp_path / "run", progress="none", **QUICK)
    assert run.history.height == 3
    run.record.close()
    run.record.close()
    for read in (lambda: run.history, lambda: run.info, run.record.commit):
        with pytest.raises(RunError, match=r"record.sqlite is closed; open the run again"):
            read()
    again = sp.load_run(tmp_path / "run")
    again.record.close()
    assert sp.load_run(tmp_path / "run").history.height == 3


def test_a_record_that_is_closed_while_it_is_written_keeps_all(tmp_path):
    record = Record.create(tmp_path / "record.sqlite")
    record._set("status", "running")
    record.close()
    assert [path.name for path in tmp_path.iterdir()] == ["record.sqlite"]
    with closing(sqlite3.connect(tmp_path / "record.sqlite")) as database:
        assert database.execute("SELECT key, value FROM facts").fetchall() == [
            ("status", '"running"')
        ]
