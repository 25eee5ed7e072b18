"""A run folder that came from elsewhere: nothing outside it is written or removed."""

import os
import shutil
import sqlite3
import struct

import pytest

import steepest as sp
from steepest.errors import RunError
from steepest.files import write_atomically
from steepest.run import Record, read_tensors
from steepest.training.checkpoint import newest, remove_partial_files

LINKED = (
    *("layout.json", "recipe.toml", "record.sqlite", "model.safetensors", "classifier.json"),
    *("lock", "checkpoints", "checkpoints/best.json", "report.html", "a link of the user's own"),
    *("record.sqlite-wal", "record.sqlite-shm", "record.sqlite-journal", "checkpoints/new.json"),
    *(f".steepest-{'0' * 16}.part", f"checkpoints/.steepest-{'0' * 16}.part"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    X = [[float(i % 3), float(i % 2)] for i in range(40)]
    data = (X, [i % 2 for i in range(40)])
    sp.train(None, data, epochs=1, hidden=(3,), validation=0.2, out=folder, progress="none")
    return folder, data


@pytest.fixture
def folder(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def data(trained):
    return trained[1]


def contents(folder):
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def elsewhere(tmp_path, trained):
    """The user's own files, some under names that a run writes too."""
    place = tmp_path / "elsewhere"
    shutil.copytree(trained[0], place)
    shutil.copytree(trained[0] / "checkpoints", place, dirs_exist_ok=True)
    for name in ("weights.safetensors", ".download.part", "step-000000000001.safetensors"):
        (place / name).write_bytes(b"mine")
    before = contents(place)
    yield place
    assert contents(place) == before


@pytest.mark.parametrize("name", LINKED)
def test_a_link_inside_is_refused_and_not_followed(folder, data, elsewhere, name):
    place = folder / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    target = elsewhere / place.name if (elsewhere / place.name).is_file() else elsewhere
    place.symlink_to(target)
    for action in (sp.load_run, lambda path: sp.resume(path, data=data, epochs=2, progress="none")):
        with pytest.raises(RunError, match="is a symbolic link, and nothing in a run folder"):
            action(folder)
    assert place.is_symlink()


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_a_pipe_is_not_waited_for_by_whoever_reads_tensors_alone(folder, ending):
    place = folder / "checkpoints" / f"best{ending}"
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(RunError, match="is not a plain file; remove it"):
        read_tensors(folder / "checkpoints" / "best")


@pytest.mark.parametrize("name", ["lock", "record.sqlite", "record.sqlite-shm"])
def test_a_file_that_is_written_in_place_may_have_no_other_name(folder, data, tmp_path, name):
    (tmp_path / "mine").write_bytes((folder / "record.sqlite").read_bytes())
    (folder / name).unlink(missing_ok=True)
    os.link(tmp_path / "mine", folder / name)
    with pytest.raises(RunError, match="has another name as well"):
        sp.resume(folder, data=data, epochs=2, progress="none")
    if name == "record.sqlite":  # a copy made of hard links can be read
        assert sp.load_run(folder).history.height == 1


def test_other_files_that_have_another_name_are_replaced_and_not_changed(folder, data, elsewhere):
    for name in ("recipe.toml", "model.safetensors", "layout.json"):
        (folder / name).unlink()
        os.link(elsewhere / name, folder / name)
    assert sp.resume(folder, data=data, epochs=2, progress="none").history.height == 2


@pytest.mark.parametrize("name", ["lock", "layout.json", "record.sqlite", "record.sqlite-wal"])
def test_a_pipe_is_not_waited_for(folder, data, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(RunError, match="is not a plain file"):
        sp.resume(folder, data=data, progress="none")


def test_only_names_that_are_written_are_removed(folder, data):
    place = folder / "checkpoints"
    mine = {
        *(place / "mine.safetensors", place / ".mine.part", place / "step-notes.json"),
        *(folder / ".mine.part", place / "step-x.json", place / "step-1.safetensors"),
    }
    left = {
        *(folder / f".steepest-{'a' * 16}.part", place / f".steepest-{'b' * 16}.part"),
        place / "step-000000000099.safetensors",
    }
    for path in mine | left:
        path.write_bytes(b"{}")
    sp.resume(folder, data=data, epochs=3, keep_checkpoints=1, progress="none")
    assert all(path.exists() for path in mine)
    assert not any(path.exists() for path in left)
    assert len(list(place.glob("step-????????????.json"))) == 1


def test_a_folder_under_the_name_of_a_file_is_left(folder):
    left = (folder / f".steepest-{'a' * 16}.part", folder / "checkpoints/step-000000000099.json")
    for path in left:
        path.mkdir()
    remove_partial_files(folder)
    assert newest(folder).step == 1
    assert all(path.is_dir() for path in left)


def test_a_link_that_takes_the_place_after_the_look_is_not_followed(folder, data, elsewhere):
    """As a process beside ours could: between two checkpoints `checkpoints` becomes a link."""

    def swap(event):
        if type(event).__name__ == "EpochFinished" and not (folder / "checkpoints").is_symlink():
            shutil.rmtree(folder / "checkpoints")
            (folder / "checkpoints").symlink_to(elsewhere)

    with pytest.raises(RunError, match=r"cannot write .*checkpoints.*; nothing is lost"):
        sp.resume(
            folder, data=data, epochs=4, checkpoint_epochs=1, progress="none", observers=[swap]
        )


def test_a_link_under_a_temporary_name_is_not_written_through(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda n: "00" * n)
    (tmp_path / f".steepest-{'0' * 16}.part").symlink_to(elsewhere / "weights.safetensors")
    with pytest.raises(RunError, match=r"cannot write .*report.html: File exists"):
        write_atomically(tmp_path / "report.html", b"words")


def test_a_journal_that_names_a_further_file_is_refused(folder, data, tmp_path):
    """SQLite deletes the super-journal that a hot journal names when it has rolled it back."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine, and of no interest to SQLite")
    name = os.fsencode(victim)
    page = (folder / "record.sqlite").read_bytes()
    size = struct.unpack(">H", page[16:18])[0]
    magic = bytes.fromhex("d9d505f920a163d7")
    header = magic + struct.pack(">IIIII", 1, 7, len(page) // size, 512, size)
    first = page[:size]
    checksum = (7 + sum(first[i] for i in range(size - 200, 0, -200))) & 0xFFFFFFFF
    content = header.ljust(512, b"\0") + struct.pack(">I", 1) + first + struct.pack(">I", checksum)
    end = struct.pack(">I", 0x40000000 // size + 1) + name
    end += struct.pack(">II", len(name), sum(name)) + magic
    (folder / "record.sqlite-journal").write_bytes(content + end)
    with pytest.raises(RunError, match="names a further file"):
        sp.resume(folder, data=data, epochs=2, progress="none")
    assert victim.exists()
    # What is refused here is what SQLite would do by itself.
    connection = sqlite3.connect(folder / "record.sqlite")
    connection.execute("SELECT count(*) FROM facts").fetchone()
    connection.close()
    assert not victim.exists()


def test_a_journal_that_a_kill_left_is_rolled_back(folder, data):
    """A kill between two journal modes leaves one; the run must go on all the same."""
    path = folder / "record.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE epochs SET train_loss = 7")
    connection.execute("CREATE TABLE t AS SELECT zeroblob(200000)")  # spills: the journal is hot
    for suffix in ("", "-journal"):
        shutil.copyfile(f"{path}{suffix}", f"{path}{suffix}.copy")
    connection.execute("ROLLBACK")
    connection.close()
    for suffix in ("", "-journal"):
        os.replace(f"{path}{suffix}.copy", f"{path}{suffix}")
    run = sp.resume(folder, data=data, epochs=2, progress="none")
    assert run.history.height == 2
    assert run.history["train_loss"][0] != 7


def test_a_run_is_saved_and_trained_where_a_link_leads_that_the_user_gives(trained, tmp_path):
    for name in ("saved", "trained"):
        (tmp_path / name).mkdir()
        (tmp_path / f"link to {name}").symlink_to(tmp_path / name)
    run = sp.load_run(trained[0])
    run.save(tmp_path / "link to saved")
    sp.train(None, trained[1], epochs=1, out=tmp_path / "link to trained", progress="none")
    for name in ("saved", "trained"):
        assert (tmp_path / f"link to {name}").is_symlink()
        assert sp.load_run(tmp_path / name).status == "finished"
        assert sp.load_run(tmp_path / f"link to {name}").status == "finished"


def test_a_report_takes_the_place_of_a_link_and_does_not_follow_it(folder, data, elsewhere):
    (folder.parent / "report.html").symlink_to(elsewhere / "weights.safetensors")
    written = sp.load_run(folder).report(folder.parent / "report.html", samples=data)
    assert not written.is_symlink()


def test_a_record_is_not_made_where_something_lies(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "record.sqlite").symlink_to(tmp_path / "mine")
    with pytest.raises(RunError, match="cannot write"):
        Record.create(tmp_path / "record.sqlite")
    assert (tmp_path / "mine").read_text() == "mine"
