"""What a page may ask of trainings. Whatever begins or stops one needs the token, as all writes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from steepest.board.index import Index, run_id
from steepest.board.reading import as_json, plain_tree, read_recipe
from steepest.board.trainings import form
from steepest.board.trainings.places import new_run, require_within
from steepest.board.trainings.processes import MOST_AT_ONCE, Trainings
from steepest.board.trainings.program import MOST_PRINTED, OUTPUT
from steepest.errors import RunError, SteepestError
from steepest.files import open_folder, require_plain_file, write_errors
from steepest.recipe import Recipe
from steepest.records.layout import STOP_FILE


def routes(index: Index, *, shared: bool) -> list[Route]:
    """The routes of trainings. shared: whether other machines reach the board."""
    answers = _Answers(index, shared)
    return [
        Route("/api/form", answers.form),
        Route("/api/trainings/check", answers.check, methods=["POST"]),
        Route("/api/trainings", answers.begin, methods=["POST"]),
        Route("/api/trainings/{training}", answers.state),
        Route("/api/trainings/{training}/cancel", answers.cancel, methods=["POST"]),
        Route("/api/runs/{run}/settings", answers.settings),
        Route("/api/runs/{run}/output", answers.output),
        Route("/api/runs/{run}/stop", answers.stop, methods=["POST"]),
        Route("/api/runs/{run}/resume", answers.resume, methods=["POST"]),
    ]


class _Answers:
    def __init__(self, index: Index, shared: bool) -> None:
        self._index, self._shared, self._trainings = index, shared, Trainings()

    async def form(self, _: Request) -> Response:
        return await _answer(
            lambda: {
                "groups": form.form(),
                "idle": form.without_meaning({}),
                "on_resume": form.ON_RESUME,
                "from": None if self._shared else os.getcwd(),
                "at_once": MOST_AT_ONCE,
            }
        )

    async def check(self, request: Request) -> Response:
        body = await request.body()

        def check() -> dict[str, Any]:
            texts, out = _form_of(body)
            found = {"idle": form.without_meaning(texts), "mistakes": []}
            try:
                recipe, folder = self._asked(texts, out)
            except SteepestError as error:
                return found | _refusal(error)
            command = form.command_of(recipe, os.path.relpath(folder))
            return found | {"toml": form.toml_of(recipe), "command": command}

        return await _answer(check)

    async def begin(self, request: Request) -> Response:
        body = await request.body()

        def begin() -> dict[str, Any]:
            texts, out = _form_of(body)
            _, folder = self._asked(texts, out)
            return {"training": self._trainings.begin(folder, texts)}

        return await _answer(begin, 202)

    async def state(self, request: Request) -> Response:
        def state() -> dict[str, Any]:
            told, folder = self._trainings.state(request.path_params["training"])
            name = folder.relative_to(self._index.root).as_posix()
            found: dict[str, Any] = plain_tree(told | {"name": name, "run": run_id(name)})
            return found

        return await _answer(state)

    async def cancel(self, request: Request) -> Response:
        def cancel() -> dict[str, Any]:
            self._trainings.cancel(request.path_params["training"])
            return {}

        return await _answer(cancel, 202)

    async def settings(self, request: Request) -> Response:
        def settings() -> dict[str, Any]:
            id_ = request.path_params["run"]
            recipe = read_recipe(self._index.run_folder(id_))
            return {
                "texts": form.texts_of(recipe),
                "name": self._index.run_name(id_),
                "own_module": not any(map(recipe.get, ("hidden", "channels", "preset"))),
            }

        return await _answer(settings)

    async def output(self, request: Request) -> Response:
        def output() -> dict[str, Any]:
            place = self._index.run_folder(request.path_params["run"]) / OUTPUT
            require_plain_file(place)
            try:
                with open(place, "rb") as file:
                    text = file.read(2 * MOST_PRINTED).decode("utf-8", "replace")
            except OSError:
                text = ""
            return {"text": text}

        return await _answer(output)

    async def stop(self, request: Request) -> Response:
        def stop() -> dict[str, Any]:
            id_ = request.path_params["run"]
            folder = self._index.run_folder(id_)
            if self._index.state(id_)["state"] != "running":
                raise RunError("nobody trains this run: there is nothing to stop")
            with write_errors(folder / STOP_FILE), open_folder(folder, follow=False) as opened:
                opened.write(STOP_FILE, b"")
            return {}

        return await _answer(stop, 202)

    async def resume(self, request: Request) -> Response:
        body = await request.body()

        def resume() -> dict[str, Any]:
            id_ = request.path_params["run"]
            folder, (texts, _) = self._index.run_folder(id_), _form_of(body)
            if self._index.state(id_)["state"] == "running":
                raise RunError("this run is being trained already")
            recipe = read_recipe(folder)
            if self._shared:
                require_within(self._index.root, recipe | form.settings_of(texts))
            form.require_resumable(recipe, texts)
            return {"training": self._trainings.go_on(folder, texts)}

        return await _answer(resume, 202)

    def _asked(self, texts: dict[str, str], out: str) -> tuple[Recipe, Path]:
        """The recipe that was asked for, and the folder of its run."""
        recipe = form.recipe_of(texts)
        if self._shared:
            require_within(self._index.root, recipe.to_dict())
        return recipe, new_run(self._index.root, out, str(recipe.data))


def _form_of(body: bytes) -> tuple[dict[str, str], str]:
    """What was written into a form: the texts that are not empty, and the name of the run."""
    try:
        sent = json.loads(body)
        texts, out = sent.get("texts", {}), sent.get("out", "")
        whole = all(isinstance(one, str) for one in (out, *texts.keys(), *texts.values()))
    except (ValueError, RecursionError, AttributeError):
        whole = False
    if not whole:
        raise RunError('what is sent must be {"texts": {SETTING: TEXT}, "out": NAME}')
    kept = {name: text.strip() for name, text in texts.items() if text.strip()}
    return kept, out.strip()


def _refusal(error: SteepestError) -> dict[str, Any]:
    mistakes = [{"text": text, "settings": settings} for text, settings in error.mistakes]
    return {"error": str(error), "mistakes": mistakes}


async def _answer(work: Callable[[], Any], status: int = 200) -> Response:
    """What a thread found, or why it refused."""
    try:
        found = await run_sync(work)
    except SteepestError as error:
        found, status = _refusal(error), 400
    return Response(as_json(found), status, {"cache-control": "no-store"}, "application/json")
