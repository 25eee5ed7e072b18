"""The real command that serves a folder, in a process of its own, and requests to it."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A board that runs: port and token, and requests to it as bytes, for attacks need odd ones."""

    port: int
    token: str
    folder: Path

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def ask(self, path, *headers, method="GET", host=None, body=b"", version="1.1"):
        """host: None for the right one, "" for no such line."""
        host = f"127.0.0.1:{self.port}" if host is None else host
        lines = [f"{method} {path} HTTP/{version}", *([f"Host: {host}"] if host else [])]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines += [*headers, "Connection: close", "", ""]
        with self.connect() as connection:
            connection.sendall("\r\n".join(lines).encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *others = head.decode().split("\r\n")
        pairs = (line.partition(": ") for line in others)
        return Reply(int(first.split()[1]), {k.lower(): v for k, _, v in pairs}, rest)

    def runs(self):
        """The rows of all runs, by their names."""
        while (found := self.ask("/api/runs").json)["unread"]:
            pass
        rows = zip(*found["runs"], strict=True)
        by_name = (dict(zip(found["columns"], row, strict=True)) for row in rows)
        return {row["name"]: row for row in by_name}


@contextmanager
def serving(folder, *options):
    """The board of a folder."""
    command = [sys.executable, "-m", "steepest", "board", folder, "--no-browser", "--json"]
    process = subprocess.Popen(
        [*map(str, command), "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    try:
        url = json.loads(process.stdout.readline())["url"]
        address, _, token = url.partition("/#token=")
        yield Served(int(address.rpartition(":")[2]), token, folder)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def small_data():
    """Two clouds in two dimensions, 80 rows, whose classes have names that are HTML."""
    rng = np.random.default_rng(0)
    y = np.repeat(["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>"], 40)
    return rng.normal(0, 1, (80, 2)).astype(np.float32) + 3 * (y == y[0])[:, None], y
