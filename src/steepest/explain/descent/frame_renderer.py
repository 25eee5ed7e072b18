"""One frame of gradient descent as a picture, quickly: only what moves is drawn again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from steepest.explain.colours import DASHES, colour, marker
from steepest.explain.descent.surface import Surface
from steepest.explain.descent.trajectory import InputGrid, Trajectory

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

_DPI = 80
_COLUMN, _ROW = 3.6, 3.0
# How much of a class's colour its region has; the rest is white.
_TINT = 0.5


class FrameRenderer:
    """The figure: a column for each path, with the function, the surface, and the losses below."""

    def __init__(
        self, paths: Sequence[Trajectory], picture: InputGrid | None, surface: Surface | None
    ) -> None:
        self._paths = paths
        rows = (picture is not None) + (surface is not None) + 1
        width = max(2, len(paths)) * _COLUMN
        figure = Figure(figsize=(width, rows * _ROW), dpi=_DPI, layout="constrained")
        canvas: Any = FigureCanvasAgg  # its methods have no types
        self._canvas = canvas(figure)
        grid = figure.add_gridspec(rows, len(paths))
        self._moving: list[_Panel] = []
        for i, path in enumerate(paths):
            row = 0
            if picture is not None:
                kind = _Curve if len(picture.axes) == 1 else _Regions
                self._moving.append(kind(figure.add_subplot(grid[0, i]), path, picture))
                row = 1
            if surface is not None:
                ax = figure.add_subplot(grid[row, i])
                self._moving.append(_Walk(ax, path, surface, i))
            if picture is None and surface is not None:
                ax.set_title(path.name, fontsize=10)
        self._moving.append(_Losses(figure.add_subplot(grid[rows - 1, :]), paths))
        self._canvas.draw()
        figure.set_layout_engine("none")
        self._background = self._canvas.copy_from_bbox(figure.bbox)

    def frame(self, t: int) -> Image.Image:
        """The picture after `samples_seen[t]` samples."""
        self._canvas.restore_region(self._background)
        for panel in self._moving:
            for artist in panel.show(t):
                panel.ax.draw_artist(artist)
        return Image.fromarray(np.asarray(self._canvas.buffer_rgba())[..., :3].copy())


class _Panel:
    """One pair of axes. `show` sets what moves to frame t and gives it in the order of drawing."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        ax.tick_params(labelsize=8)

    def show(self, t: int) -> list[Artist]:
        raise NotImplementedError

    def _line(self, *arguments: Any, **settings: Any) -> Line2D:
        (line,) = self.ax.plot(*arguments, **settings, animated=True)
        return line


class _Function(_Panel):
    """The samples, those of the latest step lit."""

    def __init__(self, ax: Axes, path: Trajectory, picture: InputGrid) -> None:
        super().__init__(ax)
        self._path, self._picture = path, picture
        ax.set_title(path.name, fontsize=10)
        self._heights = self._samples()
        kinds = range(len(picture.names))
        members = [picture.targets == k for k in kinds]
        self._dots = [
            self._line(
                *self._heights[member].T,
                linestyle="",
                marker=marker(k),
                ms=4.5,
                mfc=colour(k),
                mec="white",
                mew=0.5,
            )
            for k, member in zip(kinds, members, strict=True)
        ]
        self._lit = [
            self._line(
                [], [], linestyle="", marker=marker(k), ms=8, mfc=colour(k), mec="k", mew=1.5
            )
            for k in kinds
        ]
        self._text = ax.text(
            0.02, 0.97, "", transform=ax.transAxes, va="top", fontsize=8, animated=True
        )
        self._text.set_bbox({"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.5})

    def show(self, t: int) -> list[Artist]:
        rows = self._path.current_batch[t]
        for k, line in enumerate(self._lit):
            of_class = rows[self._picture.targets[rows] == k]
            line.set_data(*self._heights[of_class].T)
        step, accuracy = self._path.steps[t], self._path.accuracies[t]
        self._text.set_text(f"step {step}, accuracy {accuracy:.0%}")
        return [*self._function(t), *self._dots, *self._lit, self._text]

    def _samples(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError

    def _function(self, t: int) -> list[Artist]:
        raise NotImplementedError


class _Curve(_Function):
    """One input: the probability of each class but the first over it."""

    def __init__(self, ax: Axes, path: Trajectory, picture: InputGrid) -> None:
        super().__init__(ax, path, picture)
        two = len(picture.names) == 2
        shown = [1] if two else range(len(picture.names))
        self._curves = [
            (k, self._line([], [], color="k" if two else colour(k), lw=1.8)) for k in shown
        ]
        ax.set_xlim(picture.axes[0][0], picture.axes[0][-1])
        ax.set_ylim(-0.12, 1.27)  # room for the text
        ax.set_xlabel("x", fontsize=8)
        ax.set_ylabel(
            f"probability of class {picture.names[1]}" if two else "probability", fontsize=8
        )
        ax.grid(alpha=0.25)

    def _samples(self) -> np.ndarray[Any, Any]:
        classes = len(self._picture.names)
        return np.stack(
            [self._picture.points[:, 0], self._picture.targets / max(1, classes - 1)], axis=1
        )

    def _function(self, t: int) -> list[Artist]:
        assert self._path.probabilities is not None
        for k, line in self._curves:
            line.set_data(self._picture.axes[0], self._path.probabilities[t][:, k])
        return [line for _, line in self._curves]


class _Regions(_Function):
    """Two inputs: the colours of the classes, mixed by their probabilities."""

    def __init__(self, ax: Axes, path: Trajectory, picture: InputGrid) -> None:
        x, y = picture.axes
        self._image: AxesImage = ax.imshow(
            np.ones((len(y), len(x), 3)),
            extent=(x[0], x[-1], y[0], y[-1]),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            animated=True,
        )
        tints = [1 - _TINT * (1 - np.array(to_rgb(colour(k)))) for k in range(len(picture.names))]
        self._tints = np.array(tints, dtype=np.float32)
        super().__init__(ax, path, picture)
        ax.set_xlabel("x0", fontsize=8)
        ax.set_ylabel("x1", fontsize=8)

    def _samples(self) -> np.ndarray[Any, Any]:
        return self._picture.points

    def _function(self, t: int) -> list[Artist]:
        assert self._path.probabilities is not None
        x, y = self._picture.axes
        mixed = self._path.probabilities[t] @ self._tints
        self._image.set_data(np.clip(mixed, 0, 1).reshape(len(y), len(x), 3))
        return [self._image]


class _Walk(_Panel):
    """The loss surface from above, and the path so far."""

    def __init__(self, ax: Axes, path: Trajectory, surface: Surface, i: int) -> None:
        super().__init__(ax)
        self._walked = surface.paths[i]
        finite = surface.losses[np.isfinite(surface.losses) & (surface.losses > 0)]
        low, high = (finite.min(), finite.max()) if finite.size else (1e-3, 1.0)
        levels = np.geomspace(low, max(high, low * 1.0001), 15)
        # Beyond the float range a loss is infinite: drawn as the highest.
        shown = np.clip(np.nan_to_num(surface.losses, nan=high, posinf=high), low, levels[-1])
        ax.contourf(surface.us, surface.vs, shown, levels, norm=LogNorm(), cmap="Greys", alpha=0.75)
        ax.contour(
            surface.us, surface.vs, shown, levels, norm=LogNorm(), colors="w", linewidths=0.5
        )
        ax.set_xlabel(surface.labels[0], fontsize=8)
        ax.set_ylabel(surface.labels[1], fontsize=8)
        self._path = self._line([], [], color="#D55E00", lw=1.4)
        self._here = self._line([], [], "o", color="#D55E00", mec="white", ms=7)
        ax.plot(*self._walked[0], "x", color="k", ms=6, mew=1.6)
        ax.set_xlim(surface.us[0], surface.us[-1])
        ax.set_ylim(surface.vs[0], surface.vs[-1])

    def show(self, t: int) -> list[Artist]:
        self._path.set_data(*self._walked[: t + 1].T)
        self._here.set_data(*self._walked[t : t + 1].T)
        return [self._path, self._here]


class _Losses(_Panel):
    """The loss over all training rows, by the samples seen."""

    def __init__(self, ax: Axes, paths: Sequence[Trajectory]) -> None:
        super().__init__(ax)
        self._paths = paths
        colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#222222", "#56B4E9")
        self._lines = []
        for i, path in enumerate(paths):
            style: dict[str, Any] = {"color": colours[i % 6], "linestyle": DASHES[i % len(DASHES)]}
            ax.plot([], [], **style, label=path.name, lw=1.8)
            self._lines.append(
                (self._line([], [], **style, lw=1.8), self._line([], [], "o", color=colours[i % 6]))
            )
        # A loss that shoots up leaves the picture, so that the others can be seen.
        finite = [float(path.losses[np.isfinite(path.losses)].max(initial=0.0)) for path in paths]
        top = min(max(finite), 2 * float(np.nan_to_num(paths[0].losses[0], nan=1.0))) or 1.0
        ax.set_xlim(0, paths[0].samples_seen[-1])
        ax.set_ylim(0, 1.08 * top)
        ax.set_xlabel("samples seen (gradients of single samples)", fontsize=8)
        ax.set_ylabel("loss, all samples (nats)", fontsize=8)
        ax.grid(alpha=0.25)
        ax.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)

    def show(self, t: int) -> list[Artist]:
        artists: list[Artist] = []
        for path, (line, here) in zip(self._paths, self._lines, strict=True):
            line.set_data(path.samples_seen[: t + 1], path.losses[: t + 1])
            here.set_data(path.samples_seen[t : t + 1], path.losses[t : t + 1])
            artists += [line, here]
        return artists
