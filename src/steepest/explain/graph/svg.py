"""A graph as SVG: boxes with a value and a gradient, edges with what flows along them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from steepest.explain.graph.layout import Layout, Rectangle, Route, lay_out

_FONT, _SMALL = 13.0, 11.0
# Of a monospaced font's characters, in units of its size.
_ADVANCE = 0.61
_MARGIN, _PAD, _LEGEND = 16.0, 9.0, 40.0
_STYLE = """
svg { --paper: #ffffff; --ink: #1c2430; --box: #f4f6f9; --line: #8a94a2; --value: #005a9c;
  --gradient: #b84400; --input: #e6f1fa; --parameter: #eef4e4; --group: #f3edf7; }
@media (prefers-color-scheme: dark) { svg { --paper: #12161c; --ink: #e4e8ee; --box: #222a34;
  --line: #7d8998; --value: #7cc0f5; --gradient: #ffa45c; --input: #17324a; --parameter: #2a3520;
  --group: #33283c; } }
text { font-family: "DejaVu Sans Mono", ui-monospace, Menlo, Consolas, monospace; fill: var(--ink);
  text-anchor: middle; }
.name { font-weight: bold; } .value { fill: var(--value); } .gradient { fill: var(--gradient); }
.paper { fill: var(--paper); } .edge { fill: none; stroke: var(--line); stroke-width: 1.3; }
.box { fill: var(--box); stroke: var(--line); } .input { fill: var(--input); }
.parameter, .constant { fill: var(--parameter); } .group { fill: var(--group); }
.output { stroke: var(--ink); stroke-width: 2; } marker path { fill: var(--line); }
"""
# Renderers without CSS variables and media queries see the light colours.
_LIGHT = dict(
    part.strip().split(": ")
    for part in _STYLE.split("{", 1)[1].split("}", 1)[0].split(";")
    if ": " in part
)


@dataclass(frozen=True)
class Box:
    """What is written in one box. detail: what shows when the pointer rests on it."""

    name: str
    value: str
    gradient: str
    kind: str
    detail: str = ""

    @property
    def size(self) -> tuple[float, float]:
        lines = [(self.name, _FONT), (self.value, _SMALL), (self.gradient, _SMALL)]
        width = max(len(text) * size * _ADVANCE for text, size in lines)
        height = sum(size * 1.35 for text, size in lines if text)
        return width + 2 * _PAD, height + _PAD


@dataclass(frozen=True)
class Link:
    """An edge from box to box. value: what goes forward. gradient: what comes back along it."""

    source: int
    target: int
    value: str
    gradient: str

    @property
    def label(self) -> str:
        return "  ".join(part for part in (self.value, self.gradient) if part)

    @property
    def size(self) -> tuple[float, float]:
        return (len(self.label) * _SMALL * _ADVANCE + 4 if self.label else 0.0), _SMALL * 1.4


def place(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """Where everything lies, without the margin."""
    return lay_out(
        [box.size for box in boxes],
        [(link.source, link.target) for link in links],
        [link.size for link in links],
    )


def draw(boxes: Sequence[Box], links: Sequence[Link], title: str) -> str:
    """The picture as the text of an SVG file."""
    layout = place(boxes, links)
    legend = "value, forward (↓)   gradient, backward (↑)"
    width = max(layout.width, (len(legend) + 2) * _SMALL * _ADVANCE) + 2 * _MARGIN
    height = layout.height + 2 * _MARGIN + _LEGEND
    shift = _MARGIN + max(0.0, (width - 2 * _MARGIN - layout.width) / 2)
    drawn = [_edge(route) for route in layout.routes]
    drawn += [_label(link, r.label) for link, r in zip(links, layout.routes, strict=True)]
    drawn += [_box(box, r) for box, r in zip(boxes, layout.boxes, strict=True)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0.8 L8 4 L0 7.2 z"/></marker></defs>\n'
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>\n'
        f'<g transform="translate({shift:.1f} {_MARGIN})">\n' + "\n".join(drawn) + "\n</g>\n"
        f'<text font-size="{_SMALL}" x="{width / 2:.1f}" y="{height - _MARGIN:.1f}">'
        '<tspan class="value">value, forward (↓)</tspan>'
        '<tspan class="gradient" dx="14">gradient, backward (↑)</tspan></text>\n</svg>\n'
    )


def curve(route: Route) -> str:
    """The path of an edge: curves between rows, straight lines through them."""
    parts = [f"M{route.points[0][0]:.1f} {route.points[0][1]:.1f}"]
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(route.points)):
        if i % 2 == 0:
            parts.append(f"L{x1:.1f} {y1:.1f}")
        else:
            middle = (y0 + y1) / 2
            parts.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return " ".join(parts)


def _edge(route: Route) -> str:
    return f'<path class="edge" d="{curve(route)}" marker-end="url(#head)"/>'


def _label(link: Link, at: Rectangle) -> str:
    if not link.label:
        return ""
    left, top = at.x - at.width / 2, at.y - at.height / 2
    gap = "  " if link.value and link.gradient else ""
    return (
        f'<g class="label"><rect class="paper" x="{left:.1f}" y="{top:.1f}" '
        f'width="{at.width:.1f}" height="{at.height:.1f}"/>'
        f'<text font-size="{_SMALL}" xml:space="preserve" x="{at.x:.1f}" '
        f'y="{at.y + _SMALL * 0.36:.1f}"><tspan class="value">{escape(link.value)}</tspan>{gap}'
        f'<tspan class="gradient">{escape(link.gradient)}</tspan></text></g>'
    )


def _box(box: Box, at: Rectangle) -> str:
    left, y = at.x - at.width / 2, at.y - at.height / 2
    parts = [
        f'<g class="node"><title>{escape(box.detail or box.name)}</title>'
        f'<rect class="box {box.kind}" x="{left:.1f}" y="{y:.1f}" width="{at.width:.1f}" '
        f'height="{at.height:.1f}" rx="6"/>'
    ]
    y += _PAD / 2
    lines = (("name", box.name, _FONT), ("value", box.value, _SMALL))
    for kind, text, size in (*lines, ("gradient", box.gradient, _SMALL)):
        if text:
            y += size * 1.35
            parts.append(
                f'<text class="{kind}" font-size="{size}" x="{at.x:.1f}" '
                f'y="{y - size * 0.33:.1f}">{escape(text)}</text>'
            )
    return "".join(parts) + "</g>"
