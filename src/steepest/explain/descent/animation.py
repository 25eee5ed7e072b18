"""descent(): moving pictures of gradient descent, as it really happens."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from steepest.data import Inputs
from steepest.engine import process_state
from steepest.errors import RecipeError
from steepest.explain.descent.animation_writer import AnimationWriter, write_animation
from steepest.explain.descent.frame_renderer import FrameRenderer
from steepest.explain.descent.surface import Surface, surface
from steepest.explain.descent.toys import TOYS, toy
from steepest.explain.descent.trajectory import (
    InputGrid,
    Trajectory,
    frames_of,
    record_trajectory,
)
from steepest.recipe import Recipe
from steepest.training.preparation import Preparation, prepare

_DEFAULT_NET: dict[str, Any] = {"hidden": (16,), "activation": "tanh"}
_DEFAULTS: dict[str, Any] = {"lr": 0.3, "epochs": 30}
# Places along each axis of the picture.
_ALONG_LINE, _ALONG_PLANE = 240, 64
_MARGIN = 0.18


class DescentAnimation:
    """Trainings side by side, frame by frame in equal numbers of samples seen.

    `save("out.gif")` writes it, .mp4 and .html too; a notebook shows it with a slider.

    Args:
        paths: A trajectory for each batch size, all with the same frames.
        picture: Where the net is looked at; None if the inputs have more than two features.
        surface: The loss around the trajectories; None if there is only one weight.
    """

    def __init__(
        self, paths: Sequence[Trajectory], picture: InputGrid | None, surface: Surface | None
    ) -> None:
        self.paths = tuple(paths)
        self.picture = picture
        self.surface = surface

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.paths[0].samples_seen)

    def frame(self, index: int) -> Image.Image:
        """One frame.

        Args:
            index: From 0; -1 is the last one.

        Returns:
            An RGB picture.
        """
        return FrameRenderer(self.paths, self.picture, self.surface).frame(range(len(self))[index])

    def save(self, path: str | Path, *, fps: float = 20) -> Path:
        """Write the animation to a file.

        Args:
            path: Ends in .gif, .html (with a slider), .mp4 (needs ffmpeg) or .png (the last frame).
            fps: Frames in a second.

        Returns:
            The path.

        Raises:
            SteepestError: Another ending, ffmpeg is not there, or the file cannot be written.
        """
        renderer = FrameRenderer(self.paths, self.picture, self.surface)
        return write_animation(AnimationWriter(renderer.frame, len(self), fps), Path(path))

    def _repr_html_(self) -> str:
        renderer = FrameRenderer(self.paths, self.picture, self.surface)
        return AnimationWriter(renderer.frame, len(self), 20).fragment()

    def __repr__(self) -> str:
        return f"<DescentAnimation of {len(self)} frames: {', '.join(p.name for p in self.paths)}>"


def descent(
    data: Any = "moons",
    model: nn.Module | None = None,
    recipe: Recipe | None = None,
    *,
    batch_sizes: Sequence[int | str] = ("full", 8, 1),
    frames: int = 300,
    plane: tuple[str, str] | None = None,
    **settings: Any,
) -> DescentAnimation:
    """Train once for each batch size, from the same weights on the same rows, and watch.

    The steps are those of `steepest.train` without a validation part: the same engine, order of
    rows, schedule and augmentation. The frames are evenly spread over the samples seen, so that
    each training has asked for as many gradients as the others.

    Args:
        data: "line" (one input, two classes), "moons" or "spiral" (two inputs), or anything that
            `load_data` takes. With one input the fitted probability is drawn, with two the regions
            of the classes.
        model: As for `train`; None for a net with one hidden layer of 16 tanh units.
        recipe: As for `train`; None for lr 0.3 and 30 epochs.
        batch_sizes: Of the trainings side by side: "full", or samples a step.
        frames: How many, from the first weights to the last.
        plane: Two weights by name, as ("0.weight[0,0]", "0.bias[0]"), whose loss surface is drawn;
            None for the principal components of the trajectories.
        **settings: Settings of the recipe.

    Returns:
        The trainings, to look at or to save.

    Raises:
        SteepestError: Something does not fit: a setting, the data, the model, the name of a weight.
    """
    if frames < 2:
        raise RecipeError(f"frames must be at least 2, but is {frames}")
    if not batch_sizes:
        raise RecipeError("batch_sizes must name at least one batch size, but is empty")
    defaults = (_DEFAULTS if recipe is None else {}) | (
        _DEFAULT_NET if recipe is None and model is None else {}
    )
    recipe = (recipe or Recipe()).replace(**(defaults | settings))
    recipe = recipe.replace(validation=0.0, early_stopping=False)
    if isinstance(data, str) and data in TOYS:
        data = toy(data, recipe.seed)
    prepared = prepare(model, data, recipe)
    picture, grid_inputs = _input_grid(prepared)
    samples_seen = frames_of(prepared.plan.rows, recipe.epochs, frames)
    # These nets are so small that a second thread of torch's only makes them wait.
    with process_state(generators=False, threads=1):
        paths = [
            record_trajectory(prepared, size, samples_seen, grid_inputs) for size in batch_sizes
        ]
        return DescentAnimation(
            paths, picture, surface(prepared.plan, [path.weights for path in paths], plane)
        )


def _input_grid(prepared: Preparation) -> tuple[InputGrid | None, Inputs | None]:
    """What is drawn, and the places at which the net is asked, if rows have one or two inputs."""
    inputs, targets, _ = prepared.parts["train"]
    rows = inputs.array if inputs.rows is None else inputs.array[inputs.rows]
    points = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
    features = points.shape[1]
    if features > 2 or inputs.piecewise is not None or prepared.plan.objective.kind == "multilabel":
        return None, None
    count = _ALONG_LINE if features == 1 else _ALONG_PLANE
    axes = tuple(_span(points[:, i], count) for i in range(features))
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, *inputs.array.shape[1:])
    grid_inputs = replace(inputs, array=np.ascontiguousarray(grid, dtype=np.float32), rows=None)
    return InputGrid(points, targets, axes, prepared.classifier.classes.names), grid_inputs


def _span(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, count)
