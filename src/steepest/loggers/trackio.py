"""trackio: a local tracker that keeps its runs in SQLite files."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any, ClassVar

from steepest.loggers.logger import Logger


class Trackio(Logger):
    """Writes a run for trackio; `trackio show --project PROJECT` shows it.

    Its files lie where the environment variable TRACKIO_DIR says, or in the cache of Hugging Face.

    Args:
        project: Its name.
        name: Of the run, and of one to go on with; None lets the library choose one.
    """

    extra: ClassVar[str] = "trackio"
    packages: ClassVar[tuple[str, ...]] = ("trackio",)

    def __init__(self, project: str = "steepest", *, name: str | None = None) -> None:
        super().__init__()
        self._project, self._run_name = project, name
        self._run: Any = None

    def open(self, settings: Mapping[str, Any], step: int) -> None:
        import trackio

        with redirect_stdout(sys.stderr):  # it prints, and our JSON goes to standard output
            self._run = trackio.init(
                self._project,
                name=self._run_name,
                config=dict(settings),
                resume="allow" if self._run_name else "never",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )

    def write(self, step: int, row: Mapping[str, float]) -> None:
        self._run.log(dict(row), step=step)

    def note(self, step: int, name: str, text: str) -> None:
        self._run.log({name: text}, step=step)

    def end(self, status: str) -> None:
        with redirect_stdout(sys.stderr):
            self._run.finish()
