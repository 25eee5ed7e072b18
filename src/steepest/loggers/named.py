"""A logger from a line of text: `tensorboard:runs/tb`, as the command line has it."""

from collections.abc import Callable

from steepest.errors import RecipeError, did_you_mean
from steepest.loggers.logger import Logger
from steepest.loggers.mlflow import MLflow
from steepest.loggers.tensorboard import TensorBoard
from steepest.loggers.trackio import Trackio
from steepest.loggers.wandb import WandB

# Name -> what stands after the colon, and the logger that it makes.
LOGGERS: dict[str, tuple[str, Callable[[str], Logger]]] = {
    "tensorboard": ("FOLDER", TensorBoard),
    "mlflow": ("URI", MLflow),
    "wandb": ("PROJECT", WandB),
    "trackio": ("PROJECT", Trackio),
}


def logger_from(text: str) -> Logger:
    """The logger that `NAME:PLACE` names.

    Raises:
        RecipeError: There is none of this name, or no place.
        MissingExtra: Its package is not installed.
    """
    name, _, place = text.partition(":")
    if name not in LOGGERS:
        known = ", ".join(LOGGERS)
        raise RecipeError(
            f"there is no logger {name!r}{did_you_mean(name, LOGGERS)}; it is {known}"
        )
    what, make = LOGGERS[name]
    if not place:
        raise RecipeError(f"the logger {name} needs a place: {name}:{what}")
    return make(place)
