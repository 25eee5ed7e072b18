"""The user's observers: one that raises ends the training as Ctrl-C does, and nothing is lost."""

from collections.abc import Sequence

from steepest.run import Event, Observer
from steepest.training.interrupt import StopRequest


class StopTraining(Exception):  # noqa: N818  (no error: as Python's StopIteration)
    """Raised by an observer that has seen enough: the run ends as with Ctrl-C, without an error."""


class Guarded:
    """Tells the observers. error: what the first of them raised, to be raised when all is saved.

    The step that is being taken is finished, and one that has raised is not called again.
    """

    def __init__(self, observers: Sequence[Observer], stop: StopRequest) -> None:
        self._given = tuple(observers)
        self._observers = list(observers)
        self._stop = stop
        self.error: BaseException | None = None

    def __call__(self, event: Event) -> None:
        for observer in tuple(self._observers):
            try:
                observer(event)
            except (Exception, SystemExit) as error:  # anything: it is code of the user's
                self._observers.remove(observer)
                wanted = isinstance(error, StopTraining)
                self.error = self.error or (None if wanted else error)
                if not self._stop:
                    self._stop.made = True
                    raised = f"an observer that raised {type(error).__name__}"
                    self._stop.by = "an observer" if wanted else raised

    def close(self) -> None:
        """Close those that have something to close: the training has ended, however it did."""
        for observer in self._given:
            close = getattr(observer, "close", None)
            if callable(close):
                try:
                    close()
                except Exception as error:  # as above
                    self.error = self.error or error
