"""What the plots share: Axes where none are given, colours for a light and a dark background."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people can tell apart ("Color Universal Design",
# 2008), in the order of contrast with the background.
_ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_ON_DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#FFFFFF")
TRAIN, VALIDATION = _ON_LIGHT[:2]
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))

_DARK = {"background": "#16181d", "text": "#e6e6e6"}
_LIGHT = {"background": "#ffffff", "text": "#1c1c1c"}


def theme(name: Literal["light", "dark"]) -> AbstractContextManager[None]:
    """A context in which figures are made on a light or a dark background.

    The plots take their colours from the background that they find, so that any other style of
    matplotlib will do as well.

    Args:
        name: "light" or "dark".

    Returns:
        The context.

    >>> with theme("dark"):
    ...     ax = new_axes()
    >>> colours(ax)[0]
    '#56B4E9'
    """
    tones = {"light": _LIGHT, "dark": _DARK}[name]
    text = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    faces = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    settings: dict[Any, Any] = dict.fromkeys(text, tones["text"])
    return mpl.rc_context(settings | dict.fromkeys(faces, tones["background"]))


def new_axes(ax: Axes | None = None, size: tuple[float, float] = (5.0, 3.4)) -> Axes:
    """These Axes, or those of a new figure; `ax.figure` shows and saves it."""
    return Figure(figsize=size, layout="constrained").subplots() if ax is None else ax


def is_dark(ax: Axes) -> bool:
    """Whether the background is: its luma (ITU-R BT.601) is below one half."""
    red, green, blue = to_rgb(ax.get_facecolor())
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.5


def colours(ax: Axes) -> tuple[str, ...]:
    """Colours for lines that are told apart on the background of these Axes."""
    return _ON_DARK if is_dark(ax) else _ON_LIGHT


def text_colour(ax: Axes) -> str:
    """The colour of text that is read on the background of these Axes."""
    return _DARK["text"] if is_dark(ax) else _LIGHT["text"]


def save(ax: Axes, path: str | Path) -> Path:
    """The figure of these Axes in a picture file; its ending says the format."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(path, dpi=150)
    return Path(path)
