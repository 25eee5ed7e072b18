"""MkDocs hook: the map of docs/architecture.md, read from the code.

    python docs/hooks/rooms.py     writes docs/pictures/rooms.svg

Rooms are boxes and imports arrows; one that a longer way of arrows implies is left out, so that
the picture can be read. tests/docs/test_architecture.py keeps the picture to the code. The list of
files, each with the first line of its docstring, is made when the site is built.
"""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from steepest.explain.graph.layout import Rectangle, Route, lay_out

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "steepest"
PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"

_HEIGHT, _CHARACTER, _MARGIN = 30.0, 8.2, 16.0


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    if page.file.src_uri != "architecture.md":
        return markdown
    return re.sub(r"<!-- files -->.*<!-- /files -->", lambda _: _files(), markdown, flags=re.DOTALL)


def _files(source: Path = SOURCE) -> str:
    """Every module and what it is."""
    rows = ["| file | what it is |", "|---|---|"]
    for path in sorted(source.rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        if path.name != "__main__.py":
            first = docstring.partition("\n")[0].replace("|", r"\|").replace("<", "&lt;")
            rows.append(f"| `{path.relative_to(source).as_posix()}` | {first} |")
    return "\n".join(rows)


def rooms(source: Path = SOURCE) -> list[str]:
    """Folders and modules at the top, by name; a folder ends in a slash."""
    found = [p.name + "/" for p in source.iterdir() if (p / "__init__.py").exists()]
    return sorted(found + [p.name for p in source.glob("*.py") if not p.name.startswith("__")])


def imports(source: Path = SOURCE) -> set[tuple[str, str]]:
    """(from, to) of each import of a room by another, those inside functions and for types too."""
    there = {name.removesuffix("/").removesuffix(".py"): name for name in rooms(source)}
    found = set()
    for path in source.rglob("*.py"):
        here = there.get(path.relative_to(source).parts[0].removesuffix(".py"))
        if here is None:  # the package itself: its table of public names
            continue
        for module in _imported(ast.parse(path.read_text("utf-8"))):
            package, _, rest = module.partition(".")
            other = there.get(rest.partition(".")[0])
            if package == "steepest" and other is not None and other != here:
                found.add((here, other))
    return found


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def arrows(imported: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that no longer way implies (the transitive reduction)."""
    after: dict[str, set[str]] = {}
    for here, other in imported:
        after.setdefault(here, set()).add(other)

    def below(room: str) -> set[str]:
        return set().union(*({other} | below(other) for other in after.get(room, ())))

    return sorted(
        (here, other)
        for here, other in imported
        if not any(other in below(between) for between in after[here] - {other})
    )


def draw() -> str:
    """The picture as the text of an SVG file."""
    drawn, names = arrows(imports()), rooms()
    layout = lay_out(
        [(_CHARACTER * len(name) + 22, _HEIGHT) for name in names],
        [(names.index(here), names.index(other)) for here, other in drawn],
        [(0.0, 4.0)] * len(drawn),
    )
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    parts = [_arrow(route) for route in layout.routes]
    parts += [_box(name, box) for name, box in zip(names, layout.boxes, strict=True)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n'
        "<title>The rooms of steepest, each above those that it imports</title>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0.8L8 4L0 7.2z" fill="#8a94a2"/></marker>'
        f'</defs>\n<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>\n'
        f'<g transform="translate({_MARGIN:g} {_MARGIN:g})" text-anchor="middle" font-size="13" '
        'font-family="DejaVu Sans Mono, monospace">\n' + "\n".join(parts) + "\n</g>\n</svg>\n"
    )


def _arrow(route: Route) -> str:
    path = f"M{route.points[0][0]:.0f} {route.points[0][1]:.0f}"
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(route.points)):
        middle = (y0 + y1) / 2
        curve = f"C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}"
        path += curve if i % 2 else f"L{x1:.0f} {y1:.0f}"
    return f'<path d="{path}" fill="none" stroke="#8a94a2" marker-end="url(#head)"/>'


def _box(name: str, at: Rectangle) -> str:
    left, top = at.x - at.width / 2, at.y - at.height / 2
    return (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{at.width:.0f}" height="{at.height:.0f}" '
        f'rx="6" fill="#f4f6f9" stroke="#8a94a2"/><text x="{at.x:.0f}" y="{at.y + 4.5:.0f}">'
        f"{name}</text>"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
