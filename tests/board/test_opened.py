"""`run.board()`: the page of a run from Python."""

import urllib.error
import urllib.request

import pytest

import steepest as sp
from steepest.errors import RunError


def test_it_serves_the_run_until_it_is_closed(folder):
    board = sp.load_run(folder / "runs" / "good").board(browser=False)
    url = board.url.partition("#")[0]
    with urllib.request.urlopen(f"{url}api/runs", timeout=60) as reply:
        assert b"good" in reply.read()
    assert board.url in repr(board)
    board.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)
    board.close()


def test_a_run_without_a_folder_has_no_page(blobs):
    run = sp.train(None, blobs, hidden=(2,), epochs=1, progress="none")
    with pytest.raises(RunError, match="in memory alone"):
        run.board()
