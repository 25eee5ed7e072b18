"""RayExecutor: runs of a sweep as tasks of a Ray cluster, many runs a task.

The rows go once to each node, into its object store, where all processes read them in place. A
task is so many runs that it takes about a second, by the pace of those before. Ray gives a task
whose process or node was lost to another one; since a run is a function of its recipe, what comes
back is the same, and nothing is counted twice. One process, that of `sweep`, writes the record.
"""

import os
import secrets
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from typing import Any

from steepest.errors import RunError, SteepestWarning, needs, warn
from steepest.recipe import Recipe
from steepest.sweeps.executor import Done, Task
from steepest.sweeps.preparations import Preparations
from steepest.sweeps.remote import Order, RemoteTraining, Report, Shared, kernels
from steepest.training.interrupt import StopRequest

_SECONDS_A_TASK = 1.0
_MOST_RUNS_A_TASK = 1000
# So many tasks a worker, that it has the next one when it ends one.
_AHEAD = 2
# How often a task is given out again whose worker was lost, before its runs are tried one by one.
_RETRIES = 3
_SECONDS_TO_CONNECT = 5.0
_MIB = 2**20
_SECONDS_BETWEEN_LOOKS = 1.0


@contextmanager
def joined_cluster(address: str) -> Iterator[None]:
    """Within the block this process belongs to a Ray cluster.

    Args:
        address: HOST:PORT of the cluster's head; "auto" for that which RAY_ADDRESS names, which
            runs on this machine or which this process has joined; "local" to start one here.

    Raises:
        MissingExtra: Ray is not installed.
        RunError: There is no cluster.
    """
    with needs("ray", "a sweep on a Ray cluster"):
        import ray
    if ray.is_initialized():
        there = ray.get_runtime_context().gcs_address
        if address not in ("auto", there):
            raise RunError(
                f"this process belongs to the Ray cluster at {there} already: leave it with "
                f"ray.shutdown() to join {address}"
            )
        yield
        return
    with _signals_as_before():
        _join(ray, address)
        try:
            with _signals_as_before():
                yield
        finally:
            ray.shutdown()


def _join(ray: Any, address: str) -> None:
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if address == "local":
        # Of what we start nothing is told to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address="local", include_dashboard=False, **quiet)
        return
    named = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    if named not in ("auto", "local"):
        _require_listening(named)
    try:
        ray.init(address=named, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RunError(f"cannot join the Ray cluster at {address}: {_first_line(error)}") from error


def _require_listening(address: str) -> None:
    """Raise RunError unless a gRPC server answers there: Ray itself would wait for two minutes."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit():
        raise RunError(
            f"the address of a Ray cluster is HOST:PORT of its head, auto or local, but is "
            f"{address!r:.60}"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT) as there:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            # HTTP/2 is begun by both with their settings.
            there.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            answer = there.recv(4)
    except OSError as error:
        raise RunError(
            f"no Ray cluster answers at {address} ({error.strerror or error}): start its head by "
            "`ray start --head`, and look for the port that it prints"
        ) from error
    if answer[3:] != b"\4":
        raise RunError(f"what listens at {address} is no head of a Ray cluster")


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Ray takes SIGTERM for itself, and leaves it so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class RayExecutor:
    """Gives tasks to the cluster that this process has joined.

    Args:
        shared: What all runs have in common.
        preparations: Of this process.
        limit: What a run may cost at most to be among the best so far.
        stop: True once somebody has asked to stop: what is under way then does not come back.
        recipe: What the runs have in common.
        workers: How many tasks are carried out at once; None for as many as there are cores.
    """

    def __init__(
        self,
        shared: Shared,
        preparations: Preparations,
        limit: Callable[[], float],
        stop: StopRequest,
        *,
        recipe: Recipe,
        workers: int | None = None,
    ) -> None:
        import ray

        self._ray, self._preparations, self._limit = ray, preparations, limit
        self._stop = stop
        self._needed, self._most = _needed(recipe), workers
        self._remote = _remote_function(ray, self._needed)
        self._sweep, self._shared = secrets.token_hex(8), ray.put(shared)
        self._slots, self._looked = 0, -float("inf")
        self._runs_a_task, self._seconds_a_run = 1, 0.0
        self._waiting: deque[list[Task]] = deque()  # to be sent as they are
        self._buffer: deque[Task] = deque()
        self._out: dict[Any, list[Task]] = {}
        self._done: deque[Done] = deque()
        self._told: set[str] = set()
        self._closed = False

    @property
    def capacity(self) -> int:
        """So many tasks it takes before it gives one back."""
        return _AHEAD * self._places() * self._runs_a_task

    def submit(self, task: Task) -> None:
        """Have a task carried out."""
        self._buffer.append(task)

    def get(self, timeout: float | None = None) -> Done | None:
        """The next task that is done; None if there is none in this time."""
        if self._stop and not self._closed:
            self.close()
            left = [*self._buffer, *chain(*self._waiting), *chain(*self._out.values())]
            self._done.extend(Done(task, None, None) for task in left)
            self._out = {}
        elif not self._closed and not self._done:  # else who asks has more to submit
            self._send()
            self._receive(timeout)
        return self._done.popleft() if self._done else None

    def close(self) -> None:
        """Have what is under way ended at once; what is done can still be had."""
        if self._out:
            self._receive(0, len(self._out))
        self._closed = True
        for sent in self._out:
            self._ray.cancel(sent, force=True)

    def _send(self) -> None:
        """Keep all workers busy, at the end with smaller tasks."""
        free = _AHEAD * self._places() - len(self._out)
        while free > 0 and (self._waiting or self._buffer):
            if self._waiting:
                tasks = self._waiting.popleft()
            else:
                count = min(self._runs_a_task, -(-len(self._buffer) // free))
                tasks = [self._buffer.popleft() for _ in range(count)]
            limit = self._limit()
            orders = [Order(task.name, task.recipe, task.epochs, limit) for task in tasks]
            within = [self._shared, self._ray.put(orders)]  # in a list: had when it asks for them
            self._out[self._remote.remote(self._sweep, within, _versions())] = tasks
            free -= 1

    def _receive(self, timeout: float | None, most: int = 1) -> None:
        if self._out:
            ready, _ = self._ray.wait(list(self._out), num_returns=most, timeout=timeout)
        else:
            time.sleep(timeout or 0)
            ready = []
        for sent in ready:
            tasks = self._out.pop(sent)
            try:
                reports, node, found = self._ray.get(sent)
            except self._ray.exceptions.RayError as error:
                self._lost(tasks, error)
            else:
                self._warn_of_other_kernels(node, found)
                self._took(tasks, reports)

    def _took(self, tasks: list[Task], reports: list[Report]) -> None:
        for task, report in zip(tasks, reports, strict=True):
            task.training = RemoteTraining(report, task.recipe, self._preparations)
            self._done.append(Done(task, report.row if report.has_ended else None, None))
        mean = sum(report.row.seconds for report in reports) / len(reports)
        self._seconds_a_run = (self._seconds_a_run + mean) / 2 if self._seconds_a_run else mean
        count = int(_SECONDS_A_TASK / max(self._seconds_a_run, 1e-9))
        # Slowly up: the first runs of all may have been the short ones.
        self._runs_a_task = max(1, min(count, 8 * self._runs_a_task, _MOST_RUNS_A_TASK))

    def _lost(self, tasks: list[Task], error: Exception) -> None:
        """A task that failed, and not by one of its runs: those fail for themselves."""
        exceptions = self._ray.exceptions
        if isinstance(error, exceptions.RayTaskError):
            raise RunError(_first_line(error.cause)) from error
        workers = (exceptions.WorkerCrashedError, exceptions.NodeDiedError)
        if not isinstance(
            error, (*workers, exceptions.OutOfMemoryError, exceptions.ObjectLostError)
        ):
            raise RunError(f"the Ray cluster gave up a task: {_first_line(error)}") from error
        if len(tasks) > 1:  # is it one of them that kills its worker?
            self._waiting.extend([task] for task in tasks)
        else:
            self._done.append(Done(tasks[0], None, error))

    def _warn_of_other_kernels(self, node: str, found: str) -> None:
        if found != kernels() and found not in self._told:
            self._told.add(found)
            warn(
                f"the node {node} computes with {found}, and this machine with {kernels()}: runs "
                "may differ in their last bits by where they were trained",
                SteepestWarning,
            )

    def _places(self) -> int:
        """How many tasks the nodes that are there carry out at once."""
        if time.monotonic() > self._looked + _SECONDS_BETWEEN_LOOKS:
            self._looked, self._slots = (
                time.monotonic(),
                max(1, _count_places(self._ray, self._needed)),
            )
        return self._slots if self._most is None else min(self._slots, self._most)


def require_room(shared: Shared, recipe: Recipe) -> None:
    """Raise RunError unless the nodes of the cluster that was joined can train such runs."""
    import ray

    needed = _needed(recipe)
    if not _count_places(ray, needed):
        asked = " and ".join(f"{count:g} {name}" for name, count in needed.items())
        raise RunError(f"no node of the Ray cluster has the {asked} that a run takes (threads)")
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    store = min(node.get("object_store_memory", float("inf")) for node in nodes)
    if shared.nbytes > store:
        raise RunError(
            f"the data take {shared.nbytes / _MIB:,.0f} MiB, and the smallest object store of the "
            f"Ray cluster's nodes has {store / _MIB:,.0f} MiB: start the nodes with "
            "--object-store-memory=BYTES, or train on fewer rows"
        )


def _needed(recipe: Recipe) -> dict[str, float]:
    """What Ray gives each run, by Ray's names."""
    cores = {"CPU": float(recipe.threads or 1)}
    return cores | ({"GPU": 1.0} if (recipe.device or "").startswith("cuda") else {})


def _count_places(ray: Any, needed: dict[str, float]) -> int:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(
        int(min(node.get(name, 0.0) // count for name, count in needed.items())) for node in nodes
    )


def _remote_function(ray: Any, needed: dict[str, float]) -> Any:
    """What a worker does. It travels by value: a node may have another steepest, or none."""

    def carry_out(sweep: str, within: Any, here: tuple[str, ...]) -> Any:
        import socket
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = tuple(version(name) for name in ("steepest", "torch"))
        except PackageNotFoundError as error:
            raise RuntimeError(
                f"the node {socket.gethostname()} has no {error.name}: install "
                f"steepest=={here[0]} on each node of the Ray cluster"
            ) from None
        if found != here:
            raise RuntimeError(
                f"the node {socket.gethostname()} has steepest {found[0]} with torch {found[1]}, "
                f"and this machine steepest {here[0]} with torch {here[1]}: install the same"
            )
        import ray

        from steepest.sweeps import remote

        shared, orders = within
        reports = remote.carry_out(sweep, lambda: ray.get(shared), ray.get(orders))
        return reports, socket.gethostname(), remote.kernels()

    resources = {"num_cpus": needed["CPU"], "num_gpus": needed.get("GPU", 0)}
    return ray.remote(**resources, max_retries=_RETRIES)(carry_out)


def _versions() -> tuple[str, ...]:
    return tuple(version(name) for name in ("steepest", "torch"))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
