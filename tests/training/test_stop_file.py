"""A file called stop in a run's folder ends that training as Ctrl-C does, wherever it goes on."""

import threading
import time

import pytest

import steepest as sp

RECIPE = {"hidden": (4,), "epochs": 100_000, "validation": 0.25, "check": False, "watch": False}


def begin(folder, data, **settings):
    """A training in a thread, as in a notebook or a server; nobody could send it a signal."""
    done = []
    recipe = sp.Recipe(**RECIPE | settings)

    def work():
        done.append(sp.train(None, data, recipe, out=folder, progress="none"))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not (folder / "record.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return thread, done


@pytest.mark.parametrize("settings", [{"engine": "torch"}, {"engine": "native"}, {"members": 3}])
def test_only_the_run_whose_folder_has_it_stops_and_it_is_kept(blobs, tmp_path, settings):
    if settings.get("engine") == "native":
        pytest.importorskip("steepest._native")
    first, ended = begin(tmp_path / "a", blobs, **settings)
    second, other = begin(tmp_path / "b", blobs, **settings)
    (tmp_path / "a" / "stop").touch()
    first.join(60)
    assert ended[0].status == "interrupted"
    assert "the file 'stop' in its folder" in ended[0].record.table("events")["text"][-1]
    assert not (tmp_path / "a" / "stop").exists()  # obeyed, and the next resume is not stopped
    assert sp.load_run(tmp_path / "a").status == "interrupted"
    assert second.is_alive()
    (tmp_path / "b" / "stop").touch()
    second.join(60)
    assert other[0].status == "interrupted"


def test_what_asked_an_earlier_process_is_forgotten(blobs, tmp_path):
    recipe = sp.Recipe(**RECIPE | {"epochs": 2})
    sp.train(None, blobs, recipe, out=tmp_path / "run", progress="none")
    (tmp_path / "run" / "stop").touch()  # by whoever came too late
    run = sp.resume(tmp_path / "run", None, blobs, epochs=4, progress="none")
    assert (run.status, run.history.height) == ("finished", 4)
