"""A board that Python code opens: the command, in a process of its own that ends with this one."""

import atexit
import json
import subprocess
from html import escape
from pathlib import Path

from steepest.board.programs import program
from steepest.errors import RunError, needs

_SECONDS_TO_END = 5


class OpenedBoard:
    """A board that serves a folder until `close`, or until this process ends.

    Attributes:
        url: What a browser opens. Its fragment holds the token; a browser sends it to nobody.

    Args:
        folder: With runs and sweeps, or of one of them.
        browser: Whether it is opened in the browser.

    Raises:
        MissingExtra: starlette or uvicorn is not installed.
        RunError: The board cannot be served; the message says why.
    """

    def __init__(self, folder: Path, *, browser: bool = True) -> None:
        with needs("board", "the board"):
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        command = [*program("steepest"), "board", str(folder), "--json"]
        self._process = subprocess.Popen(
            command + ([] if browser else ["--no-browser"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RunError(self._process.communicate()[1].strip() or "the board did not start")
        self.url: str = json.loads(line)["url"]
        atexit.register(self.close)

    def close(self) -> None:
        """End it; nothing happens where it has ended."""
        atexit.unregister(self.close)
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def __repr__(self) -> str:
        return f"<the board at {self.url}>"

    def _repr_html_(self) -> str:
        return f'<a href="{escape(self.url)}" target="_blank" rel="noopener">The board</a>'


def open_board(folder: Path | None, *, browser: bool = True) -> OpenedBoard:
    """The board of a run's folder.

    Args:
        folder: None for a run that is in memory alone.
        browser: Whether it is opened in the browser.

    Raises:
        MissingExtra: starlette or uvicorn is not installed.
        RunError: There is no folder, or the board cannot be served.
    """
    if folder is None:
        raise RunError(
            "this run is in memory alone: save it with run.save(folder), or train with out"
        )
    return OpenedBoard(folder, browser=browser)
