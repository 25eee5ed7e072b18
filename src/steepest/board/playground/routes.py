"""What a page may ask of the playground. torch is imported when the first one is opened."""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from steepest.board.reading import as_json
from steepest.errors import MissingExtra, RunError, SteepestError

if TYPE_CHECKING:
    from steepest.board.playground.sessions import Sessions


def routes() -> list[Route]:
    """The routes under /api/playground."""
    answers = _Answers()
    return [
        Route("/api/playground", answers.begin, methods=["POST"]),
        Route("/api/playground/scenes", answers.scenes),
        Route("/api/playground/{name}/move", answers.move, methods=["POST"]),
        Route("/api/playground/{name}/{what}", answers.look, methods=["POST"]),
    ]


class _Answers:
    @cached_property
    def _sessions(self) -> "Sessions":
        import torch

        from steepest.board.playground.sessions import Sessions

        # These nets are so small that a second thread of torch's only makes them wait.
        torch.set_num_threads(1)
        return Sessions()

    async def scenes(self, _: Request) -> Response:
        from steepest.board.playground.scenes import scenes

        return await _answer(scenes)

    async def begin(self, request: Request) -> Response:
        wanted = await _sent(request)
        return await _answer(lambda: self._sessions.begin(wanted()))

    async def move(self, request: Request) -> Response:
        name, wanted = request.path_params["name"], await _sent(request)
        return await _answer(lambda: self._sessions.move(name, wanted()))

    async def look(self, request: Request) -> Response:
        name, what = request.path_params["name"], request.path_params["what"]
        return await _answer(lambda: self._sessions.look(name, what))


async def _sent(request: Request) -> Callable[[], Mapping[str, Any]]:
    """The table that was sent, read when it is asked for, so that a mistake is answered as one."""
    body = await request.body()

    def table() -> Mapping[str, Any]:
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RunError(f"what was sent is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise RunError("what is sent must be a table of names and values")
        return found

    return table


async def _answer(work: Callable[[], Any]) -> Response:
    """What a thread found, or why it found nothing."""
    status = 200
    try:
        found = await run_sync(work)
    except SteepestError as error:
        found = {"error": str(error)}
        status = 501 if isinstance(error, MissingExtra) else 400
    return Response(as_json(found), status, {"cache-control": "no-store"}, "application/json")
