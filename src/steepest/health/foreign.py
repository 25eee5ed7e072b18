"""The user's own code runs inside health: what it raises is told, what we raise is our mistake.

A mistake of ours must not break somebody's training, so it is swallowed like theirs, except in our
own tests: with the environment variable STEEPEST_RAISE set, `swallow` raises it.
"""

import os
from types import TracebackType

SWITCH = "STEEPEST_RAISE"
_MARK = "_steepest_foreign"


class _Foreign:
    """Marks the exceptions that leave the block as the user's."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            mark(error)


# Around each call of the user's model, loss, optimizer, data or method of copying.
foreign = _Foreign()


def mark(error: Exception) -> Exception:
    """An exception of ours that tells what the user's object did."""
    setattr(error, _MARK, True)
    return error


def is_foreign(error: BaseException) -> bool:
    return bool(getattr(error, _MARK, False))


def swallow(error: Exception) -> None:
    """Say that an exception ends here. Raises it if it is ours and the switch is on."""
    if os.environ.get(SWITCH) and not is_foreign(error):
        raise error
