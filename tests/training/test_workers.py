"""One training over several processes: the curve, the end and the failures of one process."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import steepest as sp

# What a script does that torchrun starts: the trainings of `cases`, and what came of each.
SCRIPT = """
import json, os, sys
sys.path.insert(0, os.path.dirname(__file__))
from cases import CASES, outcome, trained
rank = os.environ["RANK"]
found = {name: outcome(trained(name)) for name in CASES}
with open(f"found-{rank}.json", "w") as file:
    json.dump(found, file)
"""

CASES_MODULE = """
import numpy as np
import steepest as sp

def rows(shape, n=150):
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, n)
    return (rng.normal(0, 1, (n, *shape)) + 0.5 * y.reshape(-1, *(1,) * len(shape))), y

def flat():
    return sp.split(sp.load_data(rows((5,))), validation=0.2, seed=0)

def images():
    return sp.load_data(rows((8, 8), 60))

def weighted():
    data = rows((5,))
    own = np.linspace(0.1, 2, 150).astype(np.float32)
    return sp.Dataset(sp.Samples(*data, source="arrays", weights=own))

# Name -> data, model, recipe. 120 training rows: the last minibatch of 119 has one row.
CASES = {
    "plain": (flat, "plain", dict(batch_size=32, momentum=0.9, class_weight=(1.0, 2.0, 0.5), log_every=2)),
    "one row is left": (flat, "plain", dict(batch_size=119, optimizer="adam", lr=0.01, weight_decay=0.1)),
    "regularised": (flat, "dropout", dict(batch_size=32, mixup=0.4, label_smoothing=0.1, accumulate=2,
        clip_norm=0.5, l1=0.01, ema=0.9, log_every=1)),
    "images": (images, "image", dict(batch_size=16, crop=1, flip=True, shift=1, cutout=2, cutmix=1.0)),
    "weights of rows": (weighted, "plain", dict(batch_size=32, accumulate=3)),
    "lbfgs": (flat, "plain", dict(batch_size="full", optimizer="lbfgs", lr=1.0)),
}

def net(kind):
    import torch
    from torch import nn
    torch.manual_seed(5)
    if kind == "image":
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 3)).double()
    drop = [nn.Dropout(0.3)] if kind == "dropout" else []
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), *drop, nn.Linear(6, 3)).double()

def trained(name, **more):
    data, kind, settings = CASES[name]
    settings = {"epochs": 2, "engine": "torch", "check": False, "watch": False, **settings, **more}
    return sp.train(net(kind), data(), progress="none", **settings)

def outcome(run):
    return {
        "status": run.status,
        "losses": run.history["train_loss"].to_list() + [s.loss for s in run.scores.values()],
        "accuracies": run.history["train_acc"].to_list(),
        "layers": [list(row[2:]) for row in run.record.table("layers").rows()],
        "weights": [p.detach().flatten().tolist() for p in run.model.parameters()],
        "folder": str(run.folder),
    }
"""


def torchrun(tmp_path, count, *what, restarts=0):
    """Start the program with so many workers; the process that watches over them."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={count}", f"--max-restarts={restarts}", *map(str, what)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHELASTIC_ERROR_FILE": ""}
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process, timeout=120):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


@pytest.mark.parametrize("count", [2, 4])
def test_the_curve_is_that_of_one_process(tmp_path, count):
    (tmp_path / "cases.py").write_text(CASES_MODULE)
    (tmp_path / "script.py").write_text(SCRIPT)
    code, _, err = ended(torchrun(tmp_path, count, "script.py"))
    assert code == 0, err
    space = {}
    exec(CASES_MODULE, space)
    found = [json.loads((tmp_path / f"found-{i}.json").read_text()) for i in range(count)]
    for name in space["CASES"]:
        alone = space["outcome"](space["trained"](name))
        first = found[0][name]
        assert first["accuracies"] == alone["accuracies"]
        np.testing.assert_allclose(first["losses"], alone["losses"], rtol=1e-9, err_msg=name)
        for a, b in zip(first["weights"], alone["weights"], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=name)
        # Layers of float32 sums, over the rows of all workers.
        np.testing.assert_allclose(first["layers"], alone["layers"], rtol=1e-4, atol=1e-6)
        assert all(other[name] == first for other in found[1:])  # the record and the bits too


# A file: digits would have each worker import scikit-learn first.
COMMAND = ("-m", "steepest", "train", "points.npz", "--hidden", "16", "--no-check", "--no-watch")
ALONE = {"hidden": (16,), "check": False, "watch": False, "progress": "none"}


@pytest.fixture
def points(tmp_path):
    """A file of 720 rows, of which 648 are trained on: 21 steps an epoch."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 720)
    X = (rng.normal(0, 1, (720, 8)) + 0.7 * y[:, None]).astype(np.float32)
    np.savez(tmp_path / "points.npz", X=X, y=y)
    return str(tmp_path / "points.npz")


def test_it_goes_on_with_another_number_of_workers(tmp_path, points):
    straight = sp.train(data=points, epochs=4, engine="torch", **ALONE)
    run = sp.train(data=points, epochs=2, out=tmp_path / "run", **ALONE)
    assert run.info["engine"] == "native"
    line = ("-m", "steepest", "resume", "run", "--epochs", 3)
    code, out, err = ended(torchrun(tmp_path, 2, *line))
    assert code == 0, err
    assert out.count("validation") <= 1  # one worker prints
    run = sp.resume(tmp_path / "run", epochs=4, progress="none")
    assert run.history["epoch"].to_list() == [0, 1, 2, 3]
    np.testing.assert_allclose(run.history["train_loss"], straight.history["train_loss"], rtol=1e-4)


def test_after_a_kill_torchrun_goes_on_from_the_last_checkpoint(tmp_path, points):
    line = (*COMMAND, "--epochs", "30", "--checkpoint-steps", "20", "--out", "run")
    process = torchrun(tmp_path, 2, *line, restarts=1)
    checkpoints = tmp_path / "run" / "checkpoints"
    until = time.monotonic() + 60
    while not (checkpoints.is_dir() and len(list(checkpoints.glob("step-*40.json")))):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(_worker(process.pid, rank=1), signal.SIGKILL)
    code, _, err = ended(process)
    assert code == 0, err
    assert "goes on after step" in err
    run = sp.load_run(tmp_path / "run")
    assert run.status == "finished"
    assert run.history["epoch"].to_list() == list(range(30))
    straight = sp.train(data=points, epochs=30, engine="torch", **ALONE)
    np.testing.assert_allclose(run.history["train_loss"], straight.history["train_loss"], rtol=1e-3)


def test_ctrl_c_ends_all_workers_and_keeps_the_run(tmp_path, points):
    process = torchrun(tmp_path, 2, *COMMAND, "--epochs", "100000", "--out", "run")
    until = time.monotonic() + 60
    while not (tmp_path / "run" / "checkpoints").is_dir():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    code, _, _ = ended(process, timeout=40)
    assert code != 0
    run = sp.load_run(tmp_path / "run")
    assert run.status == "interrupted"


def _worker(parent, rank):
    """The process id of the worker of this rank."""
    for child in os.listdir("/proc"):
        if not child.isdigit():
            continue
        try:
            with open(f"/proc/{child}/stat") as stat:
                if int(stat.read().rpartition(")")[2].split()[1]) != parent:
                    continue
            with open(f"/proc/{child}/environ") as environ:
                if f"RANK={rank}" in environ.read().split("\0"):
                    return int(child)
        except OSError:
            continue
    raise AssertionError(f"no worker {rank}")


@pytest.fixture
def two(monkeypatch):
    """As if this process were the first of two workers."""

    class Two:
        rank, count, is_first = 0, 2, True

    return Two()


def test_what_workers_cannot_do_together_is_refused_in_one_line(two, blobs, monkeypatch):
    from steepest.engine import choose_shared
    from steepest.errors import EngineError, RecipeError
    from steepest.training.preparation import prepare

    def plan(**settings):
        return prepare(None, blobs, sp.Recipe(hidden=(4,), **settings)).plan

    with pytest.raises(
        EngineError, match=r"native engine trains in one process, and 2 were started.*scale"
    ):
        choose_shared(plan(engine="native"), two)
    with pytest.raises(EngineError, match="batch normalisation 2 takes its means over the whole"):
        choose_shared(plan(batch_norm=True), two)
    assert choose_shared(plan(layer_norm=True), two).engine.name == "torch"
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "localhost")):
        monkeypatch.setenv(name, value)
    with pytest.raises(RecipeError, match="several nets at once are trained in one process, and 2"):
        sp.train(None, blobs, members=2, progress="none")


def test_a_mistake_ends_all_workers_with_its_message(tmp_path, points):
    line = (*COMMAND, "--engine", "native", "--out", "run")
    code, _, err = ended(torchrun(tmp_path, 2, *line))
    assert code != 0
    assert "error: the native engine trains in one process" in err
    assert "error: the first worker has ended the training: the native engine" in err
    assert not (tmp_path / "run").exists()
