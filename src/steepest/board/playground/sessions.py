"""The playgrounds that a page has opened: plain data in, plain data out."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from steepest.board.playground.code import as_command, as_python
from steepest.board.playground.lessons import health_of, ledger_of, surface_of
from steepest.board.playground.picture import picture, points_of
from steepest.board.playground.playground import Playground
from steepest.errors import RunError

# So many playgrounds are kept, the one that was asked for longest ago is forgotten first.
_MOST = 6
_MOST_STEPS = 100_000


class Sessions:
    """Playgrounds by their names. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Playground] = OrderedDict()

    def begin(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A new playground.

        Args:
            wanted: As for `choose_settings`.

        Returns:
            name, points (what does not change), picture, python and command.

        Raises:
            SteepestError: Of points or settings that cannot be.
        """
        playground = Playground(wanted)
        name = secrets.token_urlsafe(9)
        with self._lock:
            self._open[name] = playground
            while len(self._open) > _MOST:
                self._open.popitem(last=False)
        return {
            "name": name,
            "points": points_of(playground),
            "picture": picture(playground),
            "python": as_python(playground),
            "command": as_command(playground),
        }

    def move(self, name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Go to another step, and the picture there.

        Args:
            name: As `begin` gave it.
            wanted: steps and epochs to go, or `to`, a step of the first lane; net: whether the
                first lane's net is wanted.

        Raises:
            RunError: The playground is not there, or a number is none.
        """
        playground = self._named(name)
        steps, epochs, to = (wanted.get(key) for key in ("steps", "epochs", "to"))
        for number in (steps, epochs, to):
            whole = number is None or (type(number) is int and abs(number) <= _MOST_STEPS)
            if not whole:
                raise RunError(
                    f"a playground moves by a whole number up to {_MOST_STEPS}, not {number!r:.40}"
                )
        if to is not None:
            playground.go_to(to)
        else:
            playground.move(steps=steps or 0, epochs=epochs or 0)
        return picture(playground, net=bool(wanted.get("net", True)))

    def look(self, name: str, what: str) -> dict[str, Any]:
        """A look behind the numbers.

        Args:
            name: As `begin` gave it.
            what: "ledger", "surface", "health", or "csv": the points as a file.

        Raises:
            RunError: The playground is not there, or has nothing of that name.
            SteepestError: There is nothing to show yet.
        """
        looks = {"ledger": ledger_of, "surface": surface_of, "health": health_of, "csv": _csv_of}
        if what not in looks:
            raise RunError(f"a playground has no {what!r:.40}; it has {', '.join(looks)}")
        return looks[what](self._named(name))

    def _named(self, name: str) -> Playground:
        with self._lock:
            if name not in self._open:
                raise RunError("this playground has been closed; open it again")
            self._open.move_to_end(name)
            return self._open[name]


def _csv_of(playground: Playground) -> dict[str, Any]:
    return {"csv": playground.chosen.points.csv()}
