"""A sweep on a real Ray cluster of two nodes and a head: processes, a node and the driver killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import numpy as np
import pytest

import steepest as sp
from steepest.cli import main
from steepest.errors import MissingExtra, RunError
from steepest.sweeps import cluster as of_sweeps
from steepest.sweeps import log_uniform

ray = pytest.importorskip("ray")
MIB = 2**20

# What a driver does that is killed; this process does the same without Ray, and goes on with it.
PROGRAM = """
import numpy as np, steepest as sp
def swept(**more):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 6)).astype(np.float32)
    y = (X @ rng.normal(size=(6, 3))).argmax(axis=1)
    space = {"lr": [0.01, 0.1, 1e30], "batch_size": [2, 3], "hidden": [(8,), (16, 8)]}
    return sp.sweep(sp.Recipe(epochs=80), space, data=(X, y), seeds=8, keep_best=3, **more)
"""


@pytest.fixture(scope="module")
def nodes():
    """The cluster, which this process has joined."""
    before = signal.getsignal(signal.SIGTERM)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    alike = {"num_cpus": 1, "object_store_memory": 80 * MIB}
    head = {**alike, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(wait=False, **alike)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    signal.signal(signal.SIGTERM, before)


def wait_for(rows, folder, process=None):
    """Until so many runs are in the record."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process is None or process.poll() is None
        with suppress(RunError):  # it has not begun
            there = sp.load_sweep(folder)
            done = len(there) - there.results["status"].null_count()
            there.close()
            if done >= rows:
                return done
        time.sleep(0.02)
    raise AssertionError(f"no {rows} runs in a minute")


def worker_of(*nodes):
    """A process of these nodes that carries out a task; waits for one."""
    until = time.monotonic() + 60
    while not (found := [pid for node in nodes for pid in _workers(node)]):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found[0]


def _workers(node):
    raylet = node.all_processes["raylet"][0].process.pid
    found = subprocess.run(
        ["ps", "--ppid", str(raylet), "-o", "pid=,args="], capture_output=True, text=True
    )
    lines = [line.split(maxsplit=1) for line in found.stdout.splitlines()]
    return [int(pid) for pid, name in lines if name.startswith("ray::carry_out")]


def test_halving_decides_as_without_ray(nodes):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 6)).astype(np.float32)
    data = inputs, (inputs @ rng.normal(size=(6, 3))).argmax(axis=1)
    recipe = sp.Recipe(epochs=10, hidden=(8,), batch_size=16)
    space = {"lr": log_uniform(1e-4, 1), "momentum": [0.0, 0.9]}
    arguments = {"data": data, "seeds": 2, "sampler": "random", "trials": 9}
    there = sp.sweep(recipe, space, pruner="halving", ray="auto", **arguments)
    here = sp.sweep(recipe, space, pruner="halving", **arguments)
    assert there.results.equals(here.results)
    assert there.history().equals(here.history())
    assert there.kept == here.kept
    asha = sp.sweep(recipe, space, pruner="asha", ray="auto", **arguments)
    assert set(asha.results["status"]) == {"finished", "pruned"}


def test_ctrl_c_ends_what_is_under_way(nodes, tmp_path):
    def interrupt():
        worker_of(*nodes.worker_nodes)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    sweep = sp.sweep(
        None, {"lr": [0.1]}, data="iris", hidden=(4,), epochs=10**7, seeds=3, ray="auto",
        out=tmp_path / "a",
    )  # fmt: skip
    thread.join()
    assert sweep.results["status"].to_list() == [None] * 3


def test_whatever_is_killed_the_table_is_the_same(nodes, tmp_path, monkeypatch):
    # Many small tasks, so that both nodes are at work whenever one is killed.
    monkeypatch.setattr(of_sweeps, "_SECONDS_A_TASK", 0.1)
    space = {}
    exec(PROGRAM, space)
    folder = tmp_path / "sweep"
    line = f"{PROGRAM}\nswept(ray={nodes.address!r}, out={str(folder)!r})"
    driver = subprocess.Popen([sys.executable, "-c", line])
    wait_for(5, folder, driver)
    driver.kill()
    driver.wait()
    killed = []

    def kill():
        wait_for(20, folder)
        os.kill(worker_of(first), signal.SIGKILL)
        killed.append("worker")
        worker_of(second)
        nodes.remove_node(second, allow_graceful=False)
        killed.append("node")

    first, second = nodes.worker_nodes
    thread = threading.Thread(target=kill)
    thread.start()
    there = space["swept"](ray="auto", out=folder, resume=True)
    assert killed == ["worker", "node"]  # while it went on
    thread.join()
    here = space["swept"]()
    assert there.results.equals(here.results)
    assert there.history().equals(here.history())
    assert there.kept == here.kept
    run, alone = there.run(there.kept[0]), here.run(here.kept[0])
    assert run.scores == alone.scores
    assert sorted(path.name for path in (folder / "best").iterdir()) == list(here.kept)


def test_a_cluster_that_cannot_train_it_is_refused_in_one_line(nodes, monkeypatch, tmp_path):
    arguments = {"data": "iris", "seeds": 1, "ray": "auto", "out": tmp_path / "a"}
    with pytest.raises(RunError, match=r"no node of the Ray cluster has the 2 CPU that a run"):
        sp.sweep(None, {"lr": [0.1]}, hidden=(4,), threads=2, **arguments)
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr(of_sweeps, "_versions", lambda: ("9.9", "1.0"))
    with pytest.raises(
        RunError, match=r"the node .* has steepest .* and this machine steepest 9.9"
    ):
        sp.sweep(None, {"lr": [0.1]}, hidden=(4,), **arguments)
    monkeypatch.undo()
    large = np.zeros((1_100_000, 20), np.float32), np.arange(1_100_000) % 2
    with pytest.raises(
        RunError, match=r"the data take 84 MiB, and the smallest object store .* 80 MiB"
    ):
        sp.sweep(sp.Recipe(hidden=(4,)), {"lr": [0.1]}, data=large, ray="auto", seeds=1)


def test_a_cluster_that_is_not_there_is_refused_at_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(of_sweeps, "_SECONDS_TO_CONNECT", 0.5)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray.shutdown()

    def refused(address):
        with pytest.raises(RunError) as error:
            sp.sweep(None, {"lr": [0.1]}, data="iris", ray=address, out=tmp_path / "a")
        assert not (tmp_path / "a").exists()
        return str(error.value)

    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        assert f"no Ray cluster answers at 127.0.0.1:{port}" in refused(f"127.0.0.1:{port}")
    assert f"no Ray cluster answers at 127.0.0.1:{port} (Connection" in refused(f"127.0.0.1:{port}")
    assert "is HOST:PORT of its head" in refused("ray://head:10001")
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]

        def answer():
            with other.accept()[0] as asked:
                asked.sendall(b"HTTP/1.1 400 Bad Request")

        thread = threading.Thread(target=answer)
        thread.start()
        assert "is no head of a Ray cluster" in refused(f"127.0.0.1:{port}")
        thread.join()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"needs ray, .* pip install 'steepest\[ray\]'"):
        sp.sweep(None, {"lr": [0.1]}, data="iris", ray="auto")
    with pytest.raises(SystemExit):
        main(["sweep", "iris", "--set", "lr=0.1", "--out", str(tmp_path / "a"), "--ray"])
    assert "steepest[ray]" in capsys.readouterr().err
