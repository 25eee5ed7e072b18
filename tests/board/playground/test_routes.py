"""The playground over HTTP: what a page sends and gets, and what it cannot get."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def ask(board):
    def asked(path, body, token=None):
        lines = ["Content-Type: application/json", f"X-Steepest-Token: {token or board.token}"]
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return board.ask(f"/api/playground{path}", *lines, method="POST", body=sent)

    return asked


def test_a_page_begins_moves_and_looks(board, ask):
    begun = ask("", {"data": {"rows": 40}, "recipe": {"hidden": [3]}})
    assert begun.status == 200
    assert begun.json["picture"]["samples"] == 0
    place = f"/{begun.json['name']}"
    moved = ask(f"{place}/move", {"epochs": 2}).json
    assert moved["lanes"][0]["epoch"] == 2
    assert ask(f"{place}/move", {"to": 0}).json["lanes"][0]["step"] == 0
    assert ask(f"{place}/ledger", {}).json["entries"]
    assert ask(f"{place}/csv", {}).json["csv"].startswith("x1,x2,class\n")
    chapters = [scene["chapter"] for scene in board.ask("/api/playground/scenes").json]
    assert chapters == [f"L{i}" for i in range(1, 23)]


def test_what_a_page_cannot_get(board, ask):
    assert ask("", {}, token="x" * 32).status == 401
    assert ask("", b"[1]").status == 400
    assert ask("", b"{").status == 400
    assert ask("", b'{"data":' * 9000 + b"1" + b"}" * 9000).status in (400, 413)
    refused = ask("", {"recipe": {"hidden": [1000]}})
    assert refused.status == 400
    assert "at most 8 layers" in refused.json["error"]
    assert ask("/none/move", {"steps": 1}).status == 400
    assert ask("/none/..%2f..%2fetc", {}).status in (400, 404)
    assert board.ask("/api/playground", "Content-Type: application/json").status == 405


def test_a_server_that_nobody_plays_on_needs_no_torch():
    code = "import sys, steepest.board.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
