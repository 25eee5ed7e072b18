"""Attacks on the board: other sites, rebound names, paths out of the folder, hostile records."""

import asyncio
import json
import os
import shutil
import sqlite3
from urllib.parse import quote

import pytest

from board.serving import serving
from steepest.board.guard import MOST_BODY, Guard


def test_a_name_that_was_rebound_to_this_machine_is_refused(board):
    port = board.port
    for host in (
        *("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}"),
        *("127.0.0.1", "localhost:1", f"127.0.0.1:{port}@evil.example", f"[::2]:{port}"),
    ):
        for path in ("/", "/api/runs", "/app.js"):
            assert board.ask(path, host=host).status == 421, host
    assert board.ask("/api/runs", "Host: evil.example").status in (400, 421)  # two of them
    assert board.ask("/api/runs", host="", version="1.0").status in (400, 421)
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert board.ask("/api/runs", host=host).status == 200


def test_origin_is_held_to_the_list_and_not_to_the_host(board):
    evil = f"evil.example:{board.port}"
    assert board.ask("/api/runs", f"Origin: http://{evil}", host=evil).status == 421
    for origin in (
        f"http://{evil}",
        "null",
        "http://127.0.0.1:1",
        f"https://127.0.0.1:{board.port}",
    ):
        assert board.ask("/api/runs", f"Origin: {origin}").status == 403, origin
    own = f"Origin: http://127.0.0.1:{board.port}"
    assert board.ask("/api/runs", own).status == 200
    assert board.ask("/api/runs", own, "Origin: http://evil.example").status == 403


def test_a_page_of_another_site_reads_nothing(board):
    for site in ("cross-site", "same-site"):  # the latter: another port of this machine
        assert board.ask("/api/runs", f"Sec-Fetch-Site: {site}").status == 403
    reply = board.ask("/api/runs", "Sec-Fetch-Site: same-origin")
    assert reply.status == 200
    assert not [name for name in reply.headers if name.startswith("access-control")]
    # A link to the page from elsewhere is a visit, not an attack.
    assert board.ask("/", "Sec-Fetch-Site: cross-site").status == 200


def test_nothing_is_written_without_the_token(board):
    kind = "Content-Type: application/json"
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for token in ("", "X-Steepest-Token: ", f"X-Steepest-Token: {board.token[:-1]}"):
            lines = [kind, *([token] if token else [])]
            assert board.ask("/api/runs", *lines, method=method, body=b"{}").status == 401, method
        assert board.ask("/", method=method).status == 405
    right = f"X-Steepest-Token: {board.token}"
    assert board.ask("/api/runs", right, kind, method="POST", body=b"{}").status == 405
    id_ = board.runs()["runs/good"]["id"]
    assert board.ask(f"/api/runs/{id_}/evaluation", kind, method="POST", body=b"{}").status == 401
    # What a form of another site could send is refused whatever it brings.
    form = "Content-Type: text/plain"
    assert board.ask("/api/runs", right, form, method="POST", body=b"{}").status == 415


def test_every_answer_tells_the_browser_what_it_may_do(board):
    for path, host in (("/", None), ("/api/runs", None), ("/nothing", None), ("/", "evil.example")):
        headers = board.ask(path, host=host).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "nonce" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


def test_another_address_needs_a_token_and_then_for_every_answer(folder, steepest):
    ended = steepest("board", folder, "--host", "0.0.0.0", "--no-browser")
    assert (ended.code, "choose a --token" in ended.err) == (2, True)
    ended = steepest("board", folder, "--host", "0.0.0.0", "--token", "short", "--no-browser")
    assert (ended.code, "at least 16 characters" in ended.err) == (2, True)
    token = "of the people who may look"
    with serving(folder, "--host", "0.0.0.0", "--token", token) as shared:
        host = f"0.0.0.0:{shared.port}"
        assert shared.ask("/", host=host).status == 200
        assert shared.ask("/api/runs", host=host).status == 401
        assert shared.ask("/api/runs", "X-Steepest-Token: another", host=host).status == 401
        right = f"X-Steepest-Token: {token}"
        assert shared.ask("/api/runs", right, host=host).status == 200
        # Nor does it read for others what a recipe names outside the folder.
        id_ = json.loads(shared.ask("/api/runs", right, host=host).body)["runs"][0][0]
        path, kind = f"/api/runs/{id_}/evaluation", "Content-Type: application/json"
        reply = shared.ask(path, right, kind, host=host, method="POST", body=b"{}")
        assert "nothing outside its folder" in reply.json["error"]


SECRET = "the secret of another folder"


@pytest.fixture(scope="module")
def trapped(folder, tmp_path_factory):
    """A folder whose runs lead out of it, and the board over it."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text(SECRET)
    shutil.copytree(folder / "runs" / "good", outside / "run")
    (outside / "run" / "recipe.toml").write_text(f'data = "{SECRET}"')
    root = tmp_path_factory.mktemp("trapped")
    (root / "linked").symlink_to(outside / "run", target_is_directory=True)
    for name in ("record.sqlite", "recipe.toml", "classifier.json", "layout.json"):
        copy = shutil.copytree(folder / "runs" / "good", root / name)
        (copy / name).unlink()
        (copy / name).symlink_to(outside / ("run" if "." not in name else "secret.txt"))
    shutil.copytree(folder / "runs" / "good", root / "swapped")
    with serving(root) as served:
        yield served, root, outside


def test_links_out_of_the_folder_are_not_followed(trapped):
    served, root, outside = trapped
    rows = served.runs()
    assert "linked" not in rows
    assert "layout.json" not in rows
    assert rows["record.sqlite"]["state"] == "damaged"
    for row in rows.values():
        for path in ("", "/tables/epochs.csv"):
            assert SECRET not in served.ask(f"/api/runs/{row['id']}{path}").body.decode()
    # A folder that is replaced by a link once it was listed.
    id_ = rows["swapped"]["id"]
    shutil.rmtree(root / "swapped")
    (root / "swapped").symlink_to(outside / "run", target_is_directory=True)
    reply = served.ask(f"/api/runs/{id_}")
    assert reply.status == 404
    assert SECRET not in reply.body.decode()


def test_no_path_in_an_address_leads_anywhere(trapped):
    served, root, outside = trapped
    up = os.path.relpath(outside / "secret.txt", root)
    for path in (
        *(f"/{up}", f"/static/{up}", f"/{quote(up, safe='')}", f"/{up.replace('.', '%2e')}"),
        *(f"/api/runs/{quote(up, safe='')}", f"/api/runs/{up}", f"//{outside}/secret.txt"),
        *(f"/api/runs/..%2f..%2f{up}/stream", f"/api/sweeps/{quote('..', safe='')}/runs"),
        *(f"/{up.replace('/', '%5c')}", "/..%252f..%252fetc%252fpasswd", "/%00", "/\\..\\x"),
        *("/api/runs/%2e%2e", "/api/runs/x'%20OR%201=1", "/app.js/../../guard.py"),
    ):
        reply = served.ask(path)
        assert reply.status in (400, 404), path
        assert SECRET not in reply.body.decode()
    assert served.ask("/" + "a" * 70_000).status in (400, 414, 431)


def test_a_hostile_record_neither_computes_for_ever_nor_is_it_taken_whole(folder, tmp_path):
    slow = shutil.copytree(folder / "runs" / "good", tmp_path / "slow") / "record.sqlite"
    with sqlite3.connect(slow) as connection:
        connection.execute("DROP TABLE epochs")
        connection.execute(
            "CREATE VIEW epochs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i AS epoch FROM n"
        )
    large = shutil.copytree(folder / "runs" / "good", tmp_path / "large") / "record.sqlite"
    with sqlite3.connect(large) as connection:
        text = "x" * 50_000_000
        connection.execute("INSERT INTO facts VALUES ('more', json_quote(?))", (text,))
    odd = shutil.copytree(folder / "runs" / "good", tmp_path / "odd") / "record.sqlite"
    with sqlite3.connect(odd) as connection:
        connection.execute("UPDATE facts SET value = '[1, {}]' WHERE key = 'scores'")
    connection.close()
    with serving(tmp_path) as served:
        rows = served.runs()
        assert {row["state"] for row in rows.values()} == {"damaged"}
        for row in rows.values():
            assert len(served.ask(f"/api/runs/{row['id']}").body) < 50_000


def test_what_is_sent_is_bounded_even_where_its_length_is_a_lie():
    async def takes_all(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        raise AssertionError("all of it was taken")

    sent = []

    async def receive():
        return {"type": "http.request", "body": b"x" * 4096, "more_body": True}

    async def send(message):
        sent.append(message)

    guard = Guard(takes_all, hosts={"h:1"}, token="t" * 16, reading_needs_token=False)
    headers = [(b"host", b"h:1"), (b"x-steepest-token", b"t" * 16)]
    headers += [(b"content-type", b"application/json"), (b"content-length", b"10")]
    scope = {"type": "http", "method": "POST", "path": "/api/x", "headers": headers}
    asyncio.run(guard(scope, receive, send))
    assert sent[0]["status"] == 413
    headers[-1] = (b"content-length", str(MOST_BODY + 1).encode())
    asyncio.run(guard(scope, receive, send))
    assert sent[2]["status"] == 413
