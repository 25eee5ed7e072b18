"""Hooks that never reach the loop: not with an exception, not in a copy, not in a file."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

from steepest.health.foreign import swallow


class Hook:
    """Calls an action and keeps its exception to itself.

    A module that is copied or pickled takes its hooks along. A copy (a teacher, an average of the
    weights) is another model, and a file must not depend on who looked on: there, a callable of the
    standard library that does nothing stands in.
    """

    def __init__(
        self, action: Callable[..., None], first: tuple[Any, ...], fail: Callable[[Exception], None]
    ) -> None:
        self._action = functools.partial(action, *first) if first else action
        self._fail = fail

    def __call__(self, *arguments: Any) -> None:
        try:
            self._action(*arguments)
        except Exception as error:
            swallow(error)
            self._fail(error)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (contextlib.nullcontext(), "__exit__")
