"""What the reports share: one HTML file without any other, each plot in it for light and dark."""

import base64
import io
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from steepest.errors import RunError
from steepest.files import write_atomically, write_failure
from steepest.report.axes import theme


def write_page(path: str | Path, template: str, **values: Any) -> Path:
    """Fill a template and write it whole or not at all. Raises RunError if it cannot be written."""
    environment = Environment(
        loader=PackageLoader("steepest.report", "."), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template(template).render(version=version("steepest"), **values)
    path = Path(path)
    try:
        write_atomically(path, html.encode(errors="backslashreplace"))  # a folder's name
    except OSError as error:
        raise RunError(write_failure(path, error)) from error
    return path


def figure(draw: Callable[[], Axes], words: str) -> Markup:
    """A plot in both themes; the browser shows the one that its user prefers."""
    light, dark = (_svg(draw, name) for name in ("light", "dark"))
    return Markup(
        '<picture><source media="(prefers-color-scheme: dark)" srcset="{}">'
        '<img src="{}" alt="{}"></picture>'
    ).format(dark, light, words)


def _svg(draw: Callable[[], Axes], name: Any) -> str:
    with theme(name):
        drawn = draw().get_figure(root=True)
        assert isinstance(drawn, Figure)
        file = io.BytesIO()
        # No date, so that the same run gives the same file.
        drawn.savefig(file, format="svg", metadata={"Date": None})
    return data_uri(file.getvalue(), "image/svg+xml")


def data_uri(content: bytes, kind: str) -> str:
    """A file within the page. kind: its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
