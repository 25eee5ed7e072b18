"""Trainings that a page begins: what is asked, where they may lie, who may ask, how they end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

import steepest as sp
from board.serving import serving
from steepest.board.guard import MOST_BODY
from steepest.board.index import run_id
from steepest.board.programs import program
from steepest.board.trainings import form, processes
from steepest.board.trainings.processes import MOST_AT_ONCE, Trainings
from steepest.board.trainings.program import _refusal
from steepest.errors import HealthError, RecipeError, RunError
from steepest.health import Finding
from steepest.recipe import SETTINGS

KIND = "Content-Type: application/json"
TEXTS = {"data": "digits", "hidden": "8", "check": "off", "watch": "off"}


def post(board, path, *, token=None, host=None, headers=(), **sent):
    token = board.token if token is None else token
    return board.ask(
        path,
        *(f"X-Steepest-Token: {token}", KIND, *headers),
        method="POST",
        host=host,
        body=json.dumps(sent).encode(),
    )


def until(found, seconds=120):
    """What is found at last."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


def ended_starting(board, reply):
    assert reply.status == 202, reply.body
    path = f"/api/trainings/{reply.json['training']}"
    return until(lambda: (s := board.ask(path).json)["state"] != "starting" and s)


def test_the_form_has_every_setting_with_what_is_known_of_it(board):
    told = board.ask("/api/form").json
    settings = {one["name"]: one for group in told["groups"] for one in group["settings"]}
    assert list(settings) == [name for group in told["groups"] for name in
                              (one["name"] for one in group["settings"])]  # fmt: skip
    assert set(settings) == set(SETTINGS)
    assert settings["optimizer"]["values"][0] == "sgd"
    assert settings["check"]["values"] == ["on", "off"]
    assert "momentum" not in told["idle"]
    assert "nesterov" in told["idle"]


def test_a_form_is_refused_as_the_command_line_refuses_and_at_its_settings(board):
    check = "/api/trainings/check"
    found = post(board, check, texts=TEXTS | {"lr": "abc", "epochs": "1.5"}).json
    assert {tuple(one["settings"]) for one in found["mistakes"]} == {("lr",), ("epochs",)}
    assert found["mistakes"][0]["text"] == "lr must be a number above 0, or 'auto', but is 'abc'"
    found = post(board, check, texts=TEXTS | {"momentum": "0.5", "optimizer": "adam"}).json
    assert [one["settings"] for one in found["mistakes"]] == [["momentum"]]
    assert "momentum" in found["idle"]
    found = post(board, check, texts={}).json
    assert found["mistakes"][0]["settings"] == ["data"]
    found = post(board, check, texts=TEXTS | {"learning_rate": "1"}).json
    assert "steepest calls it 'lr'" in found["mistakes"][0]["text"]
    for body in (
        b"[]",
        b"{",
        b'{"texts": {"lr": 1}}',
        b'{"texts": []}',
        b'{"out": 3}',
        b"[" * 9999,
    ):
        reply = board.ask(check, f"X-Steepest-Token: {board.token}", KIND, method="POST", body=body)
        assert reply.status == 400, body


def test_the_command_and_the_recipe_say_what_the_form_says():
    texts = {
        "data": "my data.csv",
        "hidden": "64,32",
        "lr": "0.30000000000000004",
        "nesterov": "on",
        "momentum": "0.9",
        "check": "off",
        "class_weight": '{"it\'s": 5, "b": 1}',
        "batch_size": "full",
    }
    recipe = form.recipe_of(texts)
    assert sp.Recipe.from_toml(form.toml_of(recipe)) == recipe
    command = form.command_of(recipe, "runs/a")
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True)
    said = words.stdout.decode().split("\0")
    assert said[:3] == ["steepest", "train", "my data.csv"]
    assert said[said.index("--class-weight") + 1] == '{"it\'s": 5, "b": 1}'
    assert {"--nesterov", "--no-check"} <= set(said)
    assert form.recipe_of(form.texts_of(recipe.to_dict())) == recipe
    assert form.command_of(form.recipe_of({"data": "-x.csv"}), "a").split()[2] == "./-x.csv"


def test_nothing_is_begun_or_stopped_without_the_token_or_by_another_site(board):
    id_ = board.runs()["runs/good"]["id"]
    paths = ["/api/trainings", "/api/trainings/check", "/api/trainings/x/cancel"]
    paths += [f"/api/runs/{id_}/stop", f"/api/runs/{id_}/resume"]
    for path in paths:
        for token in ("", board.token[:-1], "x" * 32):
            assert post(board, path, token=token, texts=TEXTS).status == 401, path
        evil = f"evil.example:{board.port}"
        assert post(board, path, host=evil, texts=TEXTS).status == 421, path
        for header in (f"Origin: http://{evil}", "Sec-Fetch-Site: same-site", "Origin: null"):
            assert post(board, path, headers=(header,), texts=TEXTS).status == 403, path
        right = f"X-Steepest-Token: {board.token}"
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            reply = board.ask(path, right, f"Content-Type: {kind}", method="POST", body=b"{}")
            assert reply.status == 415, path
        assert post(board, path, texts={"lr": "1" * MOST_BODY}).status == 413, path
        assert board.ask(path, right).status in (404, 405) or path.endswith("check")
    assert not (board.folder / "runs" / "good" / "stop").exists()


def test_a_run_lies_in_the_folder_of_the_board_and_nowhere_else(board, tmp_path):
    root = board.folder
    (root / "way-out").symlink_to(tmp_path, target_is_directory=True)
    (root / "taken").mkdir()
    (root / "dangling").symlink_to(tmp_path / "nothing")
    before = sorted(p for p in root.rglob("*") if "good" not in str(p))
    for name in (
        *("..", "../x", "a/../../x", "/tmp/x", "//x", str(tmp_path / "x"), "way-out/x", "way-out"),
        *("dangling", "dangling/x", ".", "./..", ".hidden", "a/.b", "node_modules/x", "a/b/c/d/e"),
        *("taken", "runs/good", "runs/good/inner", "runs/good/checkpoints/x", "sweeps/rates/x"),
        *("x\0y", "x\ny", "x" * 201, "é" * 190, "a\u202eb"),
    ):
        reply = post(board, "/api/trainings", texts=TEXTS, out=name)
        assert reply.status == 400, name
        assert reply.json["mistakes"][0]["settings"] == ["out"], name
    assert sorted(p for p in root.rglob("*") if "good" not in str(p)) == before
    assert list(tmp_path.iterdir()) == []
    for name in ("way-out", "dangling"):
        (root / name).unlink()
    (root / "taken").rmdir()


def test_a_board_of_one_run_begins_none_in_it(folder):
    with serving(folder / "runs" / "good") as board:
        reply = post(board, "/api/trainings", texts=TEXTS, out="inner")
        assert reply.status == 400
        assert "is a run or a sweep already" in reply.json["error"]


def test_others_train_on_nothing_outside_the_folder(folder, tmp_path):
    root = tmp_path / "shared"
    root.mkdir()
    secret = tmp_path / "secret.csv"
    secret.write_text((folder / "table.csv").read_text())
    shutil.copy(folder / "table.csv", root / "table.csv")
    (root / "linked.csv").symlink_to(secret)
    shutil.copytree(folder / "runs" / "table", root / "run")  # its data lie elsewhere
    token = "of the people who may look"
    with serving(root, "--host", "0.0.0.0", "--token", token) as board:
        host = f"0.0.0.0:{board.port}"

        def refused(**texts):
            told = post(board, "/api/trainings/check", token=token, host=host, texts=texts).json
            return [one["settings"] for one in told["mistakes"] if "leads out" in one["text"]]

        inside = str(root / "table.csv")
        for source in (
            *(str(secret), str(tmp_path / "nothing.csv"), "/etc/passwd", "~/x.csv", "~root/x"),
            *("../secret.csv", str(root / "linked.csv"), f"{root}/../secret.csv", "digits.csv"),
        ):
            assert refused(data=source) == [["data"]], source
            assert refused(data=inside, validation=source) == [["validation"]], source
            assert refused(data=inside, test=source) == [["test"]], source
        (root / "x.npy").write_bytes(b"")
        assert refused(data=str(root / "x.npy"), target=str(secret)) == [["target"]]
        assert refused(data=inside, target="kind") == []
        assert refused(data="digits") == []
        id_ = next(
            iter(board.ask("/api/runs", f"X-Steepest-Token: {token}", host=host).json["runs"])
        )[0]
        reply = post(
            board, f"/api/runs/{id_}/resume", token=token, host=host, texts={"epochs": "9"}
        )
        assert reply.status == 400
        assert "leads out" in reply.json["error"]
        told = board.ask("/api/form", f"X-Steepest-Token: {token}", host=host).json
        assert told["from"] is None
        assert board.ask("/api/form", host=host).status == 401


def test_only_a_run_that_trains_can_be_stopped_and_a_link_is_not_followed(board, tmp_path):
    rows = board.runs()
    reply = post(board, f"/api/runs/{rows['runs/good']['id']}/stop")
    assert (reply.status, "nothing to stop" in reply.json["error"]) == (400, True)
    assert post(board, "/api/runs/nothing/stop").status == 400
    assert post(board, "/api/runs/..%2f..%2fx/stop").status in (400, 404)
    kept = tmp_path / "kept"
    kept.write_text("kept")
    # A run that is being trained: somebody holds its lock. It is asked, and nobody is signalled.
    place = shutil.copytree(board.folder / "runs" / "good", board.folder / "held")
    record = place / "record.sqlite"
    script = (
        "import fcntl, sqlite3, sys, time\n"
        f"c = sqlite3.connect({str(record)!r}); c.execute(\"DELETE FROM facts WHERE key = 'status'\")\n"
        "c.commit(); c.close()\n"
        f"f = open({str(place / 'lock')!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        (place / "stop").symlink_to(kept)
        id_ = run_id("held")
        assert post(board, f"/api/runs/{id_}/stop").status == 202
        assert not (place / "stop").is_symlink()
        assert (place / "stop").read_bytes() == b""
        assert kept.read_text() == "kept"
        assert holder.poll() is None
        reply = post(board, f"/api/runs/{id_}/resume", texts={"epochs": "9"})
        assert "being trained already" in reply.json["error"]
    finally:
        holder.kill()
        holder.communicate()
        shutil.rmtree(place)


def test_a_run_goes_on_only_with_what_it_may(board):
    id_ = board.runs()["runs/table"]["id"]
    reply = post(board, f"/api/runs/{id_}/resume", texts={"hidden": "9", "epochs": "x"})
    assert reply.status == 400
    assert {tuple(one["settings"]) for one in reply.json["mistakes"]} == {("hidden",)}
    reply = post(board, f"/api/runs/{id_}/resume", texts={"epochs": "x"})
    assert [one["settings"] for one in reply.json["mistakes"]] == [["epochs"]]
    with pytest.raises(RecipeError, match="another epochs"):
        form.require_resumable({"members": 3}, {"epochs": "9"})


def test_a_stranger_s_recipe_fills_no_form_with_what_is_no_setting():
    hostile = {"lr": [1, 2], "hidden": "<b>", "seed": -1, "data": 3, "nothing": 1, "epochs": 7}
    assert form.texts_of(hostile) == {"epochs": "7", "optimizer": "sgd"}


@pytest.mark.parametrize(
    "settings",
    [
        {},  # on a table: by the preset for tables
        {"preset": "tabular", "members": 1, "dropout": 0.0, "weight_decay": 0.0},
        {"batch_size": 32},  # its default, and yet the preset keeps away
        {"hidden": (), "class_weight": {"low": 2.0}, "betas": (0.8, 0.99), "optimizer": "adam"},
    ],
)
def test_an_unchanged_copy_trains_the_same_run(folder, settings):
    recipe = sp.Recipe(data=str(folder / "table.csv"), target="kind", epochs=2, **settings)
    run = sp.train(recipe=recipe, progress="none", check=False, watch=False)
    copy = form.recipe_of(form.texts_of(run.recipe.to_dict()))
    again = sp.train(recipe=copy, progress="none")
    assert again.recipe == run.recipe
    assert run.recipe.preset == (
        "tabular" if len(settings) in (0, 4) and "hidden" not in settings else None
    )
    for name, weights in run.model.state_dict().items():
        assert (again.model.state_dict()[name] == weights).all(), name


@pytest.fixture
def sleeping(monkeypatch):
    """Trainings whose processes only wait, or do what they are told to."""

    def with_code(code):
        monkeypatch.setattr(processes, "program", lambda _: [sys.executable, "-c", code])
        return Trainings()

    begun = []
    start = processes._process

    def kept(*args):
        found = start(*args)
        begun.append(found[1])
        return found

    monkeypatch.setattr(processes, "_process", kept)
    yield with_code
    for process in begun:
        with suppress(ProcessLookupError):
            process.kill()


def failed(trainings, id_):
    return until(lambda: (s := trainings.state(id_)[0])["state"] == "failed" and s, 30)


def test_so_many_at_once_and_one_that_ends_makes_room(sleeping, tmp_path):
    trainings = sleeping("import time; time.sleep(60)")
    ids = [trainings.begin(tmp_path / str(n), {}) for n in range(MOST_AT_ONCE)]
    with pytest.raises(RunError, match=f"{MOST_AT_ONCE} runs at once"):
        trainings.begin(tmp_path / "one more", {})
    trainings.cancel(ids[0])
    assert failed(trainings, ids[0])["cancelled"]
    trainings.begin(tmp_path / "one more", {})
    with pytest.raises(RunError, match="no such training"):
        trainings.state("x")
    assert not list(tmp_path.glob(".0.*"))  # nothing is left of what never began


def test_one_that_ignores_ctrl_c_is_ended_when_asked_again(sleeping, tmp_path):
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    trainings = sleeping(code + "print('ready', flush=True); time.sleep(60)")
    id_ = trainings.begin(tmp_path / "a", {})
    assert until(lambda: any(p.read_text() for p in tmp_path.glob(".a.*")))
    trainings.cancel(id_)
    assert trainings.state(id_)[0]["state"] == "starting"
    trainings.cancel(id_)
    assert failed(trainings, id_)["cancelled"]


def test_one_that_breaks_says_how_and_what_it_printed(sleeping, tmp_path):
    trainings = sleeping("import os, sys; print('x' * 99); print('why', flush=True); os.abort()")
    told = failed(trainings, trainings.begin(tmp_path / "a", {}))
    assert ("SIGABRT" in told["problem"], told["cancelled"]) == (True, False)
    assert told["printed"].splitlines()[-1] == "why"
    trainings = sleeping(
        "import os, sys; os.write(int(sys.argv[1]), b'nonsense\\n{\\n'); sys.exit(3)"
    )
    assert "exit code 3" in failed(trainings, trainings.begin(tmp_path / "a", {}))["problem"]


def test_a_file_in_the_working_directory_is_no_module(tmp_path):
    (tmp_path / "argparse.py").write_text("raise SystemExit('planted')")
    ended = subprocess.run(
        [*program("json.tool"), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "planted" in ended.stderr) == (0, False)


def test_what_is_refused_with_the_data_at_hand_names_its_setting_and_leaves_nothing(board):
    texts = {"data": str(board.folder / "table.csv"), "target": "nothing", "hidden": "4"}
    before = sorted(os.listdir(board.folder / "runs"))
    told = ended_starting(board, post(board, "/api/trainings", texts=texts, out="runs/refused"))
    assert told["state"] == "failed"
    assert [one["settings"] for one in told["mistakes"]] == [["target"]]
    assert "has no column 'nothing'" in told["problem"]
    assert sorted(os.listdir(board.folder / "runs")) == before


def test_what_the_check_finds_comes_as_findings():
    finding = Finding("ZEROS", "error", "all is zero", "init = 'he'")
    told = _refusal(HealthError("the check found\n" + "a long text\n" * 9, [finding]))
    assert (told["problem"], told["findings"][0]["code"]) == ("the check found", "ZEROS")


def test_one_that_was_just_interrupted_can_be_resumed_at_once(folder, tmp_path):
    with serving(tmp_path) as board:
        sent = post(board, "/api/trainings", texts=TEXTS | {"epochs": "100000"}, out="a")
        run = ended_starting(board, sent)["run"]
        assert post(board, f"/api/runs/{run}/stop").status == 202
        # Its record says so a while before its process has ended.
        row = until(lambda: (r := board.runs()["a"])["state"] == "interrupted" and r)
        sent = post(board, f"/api/runs/{run}/resume", texts={"epochs": str(row["epochs"] + 2)})
        assert ended_starting(board, sent)["state"] == "begun"
        assert until(lambda: board.runs()["a"]["state"] == "finished")


def test_a_training_outlives_its_board_and_goes_on_from_the_next(folder, tmp_path):
    texts = TEXTS | {"epochs": "100000", "check": "on"}
    with serving(tmp_path) as board:
        told = ended_starting(board, post(board, "/api/trainings", texts=texts, out="a/b"))
        assert (told["state"], told["name"]) == ("begun", "a/b"), told
        reply = post(board, "/api/trainings", texts=texts, out="a/b")
        assert "a run or a sweep already" in reply.json["error"]
    place = tmp_path / "a" / "b"
    with serving(tmp_path) as board:
        epochs = board.runs()["a/b"]["epochs"]
        row = until(lambda: (r := board.runs()["a/b"])["epochs"] > (epochs or 0) + 5 and r)
        assert row["state"] == "running"
        assert post(board, f"/api/runs/{told['run']}/stop").status == 202
        row = until(lambda: (r := board.runs()["a/b"])["state"] != "running" and r)
        assert row["state"] == "interrupted"
        # As the command would have trained it: the same recipe, of the same given settings.
        run = sp.load_run(place)
        assert run.recipe == sp.Recipe(data="digits", hidden=(8,), epochs=100000, watch=False)
        assert (place / "output.log").is_file()
        done = run.history.height
        path = f"/api/runs/{told['run']}/resume"
        told = ended_starting(board, post(board, path, texts={"epochs": str(done + 2)}))
        assert told["state"] == "begun", told
        row = until(lambda: (r := board.runs()["a/b"])["state"] == "finished" and r)
        assert row["epochs"] == done + 2
        assert "a/b" not in board.ask(f"/api/runs/{told['run']}/output").json["text"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
