"""What steepest raises: one family, each message saying where, what, and what to do."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, Self


class Mistake(NamedTuple):
    """One thing that is wrong: a sentence, and the settings that it is about, if any."""

    text: str
    settings: tuple[str, ...] = ()


class SteepestError(Exception):
    """A mistake that the user can mend. The command line prints it and ends with 2.

    Attributes:
        mistakes: What is wrong, one by one, for who shows each beside the settings it is about.

    Args:
        settings: Names of the settings that the message is about.
        mistakes: Instead, where a message is several sentences.
    """

    _settings: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *args: object,
        settings: Iterable[str] = (),
        mistakes: Iterable[Mistake] = (),
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        about = tuple(settings) or self._settings
        self.mistakes = tuple(mistakes) or (Mistake(str(self), about),)

    @classmethod
    def of(cls, mistakes: Iterable[Mistake]) -> Self:
        """One error for all of them."""
        found = tuple(mistakes)
        return cls("; ".join(one.text for one in found), mistakes=found)


class DataError(SteepestError, ValueError):
    """The data cannot be read or cannot be learned from."""

    _settings = ("data",)


class TargetError(DataError):
    """A label is missing, unknown or out of range."""


class RecipeError(SteepestError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class ModelError(SteepestError, ValueError):
    """The model does not fit the data or the loss."""


class EngineError(SteepestError):
    """The engine asked for cannot run this plan."""


class RunError(SteepestError):
    """A run cannot be written, read or continued."""


class WorkerError(SteepestError):
    """One of several processes that train together is gone, or has ended the training."""


class HealthError(SteepestError):
    """The check before training found what surely breaks it. findings: what it found.

    The command line ends with 1, as for any finding of severity error.
    """

    def __init__(self, message: str, findings: Any = ()) -> None:
        super().__init__(message)
        self.findings = findings


class UnknownRuleError(SteepestError, LookupError):
    """There is no health rule with this code."""


class MissingExtra(SteepestError, ImportError):  # noqa: N818
    """A package that only some uses need is not installed."""


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Around the import of an optional package: where it is missing, name the extra that has it.

    extra: of pyproject.toml. what: what needs it, the message's first words. Raises MissingExtra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise MissingExtra(
            f"{what} needs {package}, which is not installed: pip install 'steepest[{extra}]', "
            "or 'steepest[all,loggers,ray]' for every extra",
            name=package,
        ) from error


class SteepestWarning(UserWarning):
    """Something that a user should know and that stops nothing."""


class HealthWarning(SteepestWarning):
    """A finding of the check before training, or of the watch during it."""


def warn(text: str, category: type[SteepestWarning]) -> None:
    """Warn, and name the line outside this package that called it, through however many of ours."""
    package, level = __name__.partition(".")[0], 2
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'target'?` for the nearest known name, or nothing when none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    folded = name.casefold()
    begun = [other for other in by_folded if len(folded) > 2 and other.startswith(folded)]
    near = begun[:1] or get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""
