"""The application: what a page may ask for. Every answer is data; the page makes elements of it."""

import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from steepest.board import run_pages, sweep_rows
from steepest.board.computed import PREDICTIONS, SWEEP_SETTINGS, Computed
from steepest.board.curves import curves_of
from steepest.board.guard import App, Guard
from steepest.board.index import Index
from steepest.board.playground.routes import routes as playground_routes
from steepest.board.reading import as_json, stamp_of
from steepest.board.stream import RunStream, versions
from steepest.board.summary import DEFAULTS
from steepest.board.trainings.routes import routes as training_routes
from steepest.errors import RunError, SteepestError
from steepest.records.layout import RUN_RECORD, SWEEP_RECORD

_MOST_STREAMS = 100

Handler = Callable[[Request], Awaitable[Response]]


def make_app(folder: Path, *, hosts: set[str], token: str, reading_needs_token: bool) -> App:
    """The application over a folder, behind its guard; arguments as `Guard` has them."""
    index = Index(folder)
    board = _Board(index, reading_needs_token)
    routes = [Route(path, answer) for path, answer in _static()]
    routes += [
        Route("/api/board", board.about),
        Route("/api/runs", board.runs),
        Route("/api/runs/stream", board.runs_stream),
        Route("/api/curves", board.curves),
        Route("/api/runs/{run}", board.run),
        Route("/api/runs/{run}/stream", board.run_stream),
        Route("/api/runs/{run}/tables/{table}.csv", board.table),
        Route("/api/runs/{run}/evaluation", board.evaluation),
        Route("/api/runs/{run}/evaluation", board.evaluate, methods=["POST"]),
        Route("/api/sweeps/{sweep}/runs", board.sweep_runs),
        Route("/api/sweeps/{sweep}/runs/{run}", board.sweep_run),
        *training_routes(index, shared=reading_needs_token),
        Route("/api/sweeps/{sweep}/settings", board.settings),
        Route("/api/sweeps/{sweep}/settings", board.compute_settings, methods=["POST"]),
        *playground_routes(),
    ]
    app = Starlette(routes=routes, exception_handlers={SteepestError: _mistake, 404: _nothing})
    return Guard(app, hosts=hosts, token=token, reading_needs_token=reading_needs_token)


class _Board:
    """The answers; reading happens in threads, so that streams go on meanwhile."""

    def __init__(self, index: Index, reading_needs_token: bool) -> None:
        self._index, self._streams = index, 0
        self._evaluations = Computed(PREDICTIONS)
        self._settings = Computed(SWEEP_SETTINGS)
        self._shared = reading_needs_token

    async def about(self, _: Request) -> Response:
        name = self._index.root.name or str(self._index.root)
        return _json({"folder": name, "version": version("steepest"), "defaults": DEFAULTS})

    async def runs(self, request: Request) -> Response:
        since = _number(request, "since")
        return _json(await run_sync(lambda: self._index.changes(since)))

    async def runs_stream(self, _: Request) -> Response:
        return self._stream(versions(self._index))

    async def curves(self, request: Request) -> Response:
        ids = request.query_params.get("runs", "").split(",")
        return _json(await run_sync(lambda: curves_of(self._index, ids)))

    async def run(self, request: Request) -> Response:
        id_ = request.path_params["run"]

        def read() -> Any:
            folder = self._index.run_folder(id_)
            return run_pages.about(folder, self._index.state(id_))

        return _json(await run_sync(read))

    async def run_stream(self, request: Request) -> Response:
        id_ = request.path_params["run"]
        folder = await run_sync(lambda: self._index.run_folder(id_))
        since = request.headers.get("last-event-id", request.query_params.get("since", ""))
        stream = RunStream(self._index, id_, folder, since, _number(request, "most", 1600))
        return self._stream(stream.events())

    async def table(self, request: Request) -> Response:
        id_, table = request.path_params["run"], request.path_params["table"]
        text = await run_sync(lambda: run_pages.csv_of(self._index.run_folder(id_), table))
        return Response(text, media_type="text/csv; charset=utf-8", headers=_NO_STORE)

    async def evaluation(self, request: Request) -> Response:
        id_, stamp, _ = await run_sync(lambda: self._record_of(request.path_params["run"]))
        return _json(self._evaluations.state(id_, stamp))

    async def evaluate(self, request: Request) -> Response:
        if self._shared:  # it reads what a recipe names, which may lie outside the folder
            raise RunError("a board that other machines reach reads nothing outside its folder")
        record = await run_sync(lambda: self._record_of(request.path_params["run"]))
        return _json(self._evaluations.start(*record), 202)

    def _record_of(self, id_: str) -> tuple[str, tuple[int, ...], Path]:
        folder = self._index.run_folder(id_)
        return id_, stamp_of(folder / RUN_RECORD), folder

    async def sweep_runs(self, request: Request) -> Response:
        id_, after = request.path_params["sweep"], _number(request, "after")
        return _json(await run_sync(lambda: sweep_rows.page(self._index.sweep_folder(id_), after)))

    async def sweep_run(self, request: Request) -> Response:
        sweep, run = request.path_params["sweep"], request.path_params["run"]
        return _json(
            await run_sync(lambda: sweep_rows.some_runs(self._index.sweep_folder(sweep), [run])[0])
        )

    async def settings(self, request: Request) -> Response:
        return _json(self._settings.state(request.path_params["sweep"]))

    async def compute_settings(self, request: Request) -> Response:
        id_ = request.path_params["sweep"]
        folder = await run_sync(lambda: self._index.sweep_folder(id_))
        return _json(self._settings.start(id_, stamp_of(folder / SWEEP_RECORD), folder), 202)

    def _stream(self, events: AsyncIterator[bytes]) -> Response:
        if self._streams >= _MOST_STREAMS:
            return _json({"error": "too many pages are open; close some"}, 503)
        self._streams += 1

        async def counted() -> AsyncIterator[bytes]:
            try:
                async for event in events:
                    yield event
            finally:
                self._streams -= 1

        return StreamingResponse(counted(), media_type="text/event-stream", headers=_NO_STORE)


_NO_STORE = {"cache-control": "no-store"}


def _json(value: Any, status: int = 200) -> Response:
    return Response(as_json(value), status, _NO_STORE, "application/json")


def _number(request: Request, name: str, otherwise: int = 0) -> int:
    """A count in the query; what is none is `otherwise`."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else otherwise


def _static() -> list[tuple[str, Handler]]:
    """The page's own files, read once: no request leads to the disk."""
    found: list[tuple[str, Handler]] = []
    for file in files("steepest.board").joinpath("static").iterdir():
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        path = "/" if file.name == "index.html" else f"/{file.name}"
        found.append((path, _constant(file.read_bytes(), kind)))
    return found


def _constant(content: bytes, kind: str) -> Handler:
    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return answer


async def _mistake(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 404)


async def _nothing(_: Request, __: Exception) -> Response:
    return _json({"error": "there is nothing of this name"}, 404)
