"""Changes to the rows of a minibatch: shift, crop, flip, cutout, mixup and cutmix.

All are functions of (seed, step, place in the minibatch), so both engines make the same ones. They
work on the scaled inputs, and what they empty becomes 0: black where pixels are scaled to [0, 1],
the mean where they are standardised. Images are the last two dimensions of a row.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.special import betaincinv
from torch import Tensor

from steepest.errors import RecipeError
from steepest.random import Purpose, below, uniform_of_steps, words
from steepest.recipe import Recipe

_OF_IMAGES = ("cutmix", "cutout", "shift", "crop", "flip")


@dataclass(frozen=True)
class Mixes:
    """What mixup and cutmix do in some steps.

    Attributes:
        shares: (S,) float64, the share of a row's own target.
        boxes: (S, 4) int32, top, bottom, left and right of what cutmix takes from the other row,
            all 0 where a step mixes up; None without cutmix.
    """

    shares: NDArray[np.float64]
    boxes: NDArray[np.int32] | None


@dataclass(frozen=True)
class Augmentation:
    """What a recipe changes in the rows of a minibatch.

    Attributes:
        recipe: Its settings from mixup to flip.
        image: (channels, height, width) of a row, None where rows are no images.
    """

    recipe: Recipe
    image: tuple[int, int, int] | None

    @classmethod
    def of(cls, recipe: Recipe, shape: tuple[int, ...]) -> "Augmentation":
        """The changes that a recipe asks for, to rows of this shape.

        Raises:
            RecipeError: If something for images is asked of other rows.
        """
        asked = [name for name in _OF_IMAGES if getattr(recipe, name)]
        if len(shape) not in (2, 3):
            if asked:
                needing = " and ".join(asked) + (" need" if len(asked) > 1 else " needs")
                raise RecipeError(
                    f"{needing} images, rows of shape (H, W) or (C, H, W), but a row has shape "
                    f"{shape}",
                    settings=asked,
                )
            return cls(recipe, None)
        channels, height, width = (1, *shape) if len(shape) == 2 else shape
        if recipe.crop >= min(height, width):
            raise RecipeError(
                f"crop must be below the side of an image, {min(height, width)}", settings=("crop",)
            )
        return cls(recipe, (channels, height, width))

    @property
    def changes_rows(self) -> bool:
        """Whether `change` does anything."""
        return any(getattr(self.recipe, name) for name in ("cutout", "shift", "crop", "flip"))

    @property
    def mixes_rows(self) -> bool:
        """Whether some steps mix two rows."""
        return self.recipe.mixup > 0 or self.recipe.cutmix > 0

    def mixes(self, steps: range) -> Mixes | None:
        """Mixup (Zhang et al., ICLR 2018) and cutmix (Yun et al., ICCV 2019) of some steps.

        A row is mixed with the next row of its minibatch, the last one with the first: their order
        is random already. The share comes from Beta(alpha, alpha), and is the larger one for a
        row's own target in mixup. With both, a step takes either with probability 1/2.
        """
        if not self.mixes_rows:
            return None
        recipe = self.recipe
        u = uniform_of_steps(recipe.seed, Purpose.MIX, steps, 4)
        shares, boxes = np.ones(len(steps)), None
        if recipe.mixup:
            shares = betaincinv(recipe.mixup, recipe.mixup, u[:, 0])
            shares = np.maximum(shares, 1 - shares)
        if recipe.cutmix:
            assert self.image is not None
            _, height, width = self.image
            cut = np.sqrt(1 - betaincinv(recipe.cutmix, recipe.cutmix, u[:, 0]))
            boxes = np.zeros((len(steps), 4), dtype=np.int32)
            for side, centre, place in ((height, u[:, 2], 0), (width, u[:, 3], 2)):
                middle, half = np.floor(centre * side), np.floor(cut * side) // 2
                boxes[:, place] = np.clip(middle - half, 0, side)
                boxes[:, place + 1] = np.clip(middle + half, 0, side)
            taken = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
            boxes[taken == 0] = 0
            mixed_up = (u[:, 1] < 0.5) & (recipe.mixup > 0)
            boxes[mixed_up] = 0
            shares = np.where(mixed_up, shares, 1 - taken / (height * width))
        return Mixes(np.ascontiguousarray(shares, dtype=np.float64), boxes)

    def change(self, batch: Tensor, step: int, places: NDArray[np.int64] | None = None) -> Tensor:
        """The rows of a step's minibatch, (B, ...), cropped, flipped, shifted and cut out.

        Args:
            batch: The rows.
            step: Its number.
            places: Where they stand in the minibatch, (B,); None where they are all of it.
        """
        if not self.changes_rows:
            return batch
        assert self.image is not None
        recipe, (_, height, width) = self.recipe, self.image
        images = batch.reshape(len(batch), *self.image)
        places = np.arange(len(batch)) if places is None else places
        if recipe.crop:
            images = _cropped(images, self._offsets(Purpose.CROP, step, places, recipe.crop))
        if recipe.flip:
            mirrored = self._words(Purpose.FLIP, step, places, 1)[:, 0] >= 2**31
            mask = torch.from_numpy(mirrored).to(images.device)[:, None, None, None]
            images = torch.where(mask, images.flip(-1), images)
        if recipe.shift:
            images = _shifted(images, self._offsets(Purpose.SHIFT, step, places, recipe.shift))
        if recipe.cutout:
            numbers = self._words(Purpose.CUTOUT, step, places, 2)
            tops = below(numbers[:, 0], height) - recipe.cutout // 2
            lefts = below(numbers[:, 1], width) - recipe.cutout // 2
            inside = (
                _span(tops, recipe.cutout, height)[:, :, None]
                & (_span(lefts, recipe.cutout, width)[:, None, :])
            )
            images = images.masked_fill(inside[:, None].to(images.device), 0.0)
        return images.reshape(batch.shape)

    def mix(self, batch: Tensor, other: Tensor, mixes: Mixes, i: int) -> Tensor:
        """The minibatch of the i-th of these steps, each row mixed with the next one, `other`."""
        if mixes.boxes is None or mixes.boxes[i, 1] <= mixes.boxes[i, 0]:
            share = float(mixes.shares[i])
            return share * batch + (1 - share) * other
        assert self.image is not None
        top, bottom, left, right = map(int, mixes.boxes[i])
        images = batch.reshape(len(batch), *self.image).clone()
        taken = other.reshape(images.shape)[:, :, top:bottom, left:right]
        images[:, :, top:bottom, left:right] = taken
        return images.reshape(batch.shape)

    def _offsets(
        self, purpose: Purpose, step: int, places: NDArray[np.int64], most: int
    ) -> NDArray[np.int64]:
        """How far each row moves down and right, (B, 2), from -most to most."""
        return below(self._words(purpose, step, places, 2), 2 * most + 1) - most

    def _words(
        self, purpose: Purpose, step: int, places: NDArray[np.int64], each: int
    ) -> NDArray[np.uint32]:
        """So many words for each row, (B, each)."""
        count = int(places.max(initial=-1)) + 1
        return words(self.recipe.seed, purpose, step, each * count).reshape(-1, each)[places]


def _span(first: NDArray[np.int64], length: int, side: int) -> Tensor:
    """Which of `side` places lie in [first, first + length), (B, side) bool."""
    places = np.arange(side)
    return torch.from_numpy((places >= first[:, None]) & (places < first[:, None] + length))


def _shifted(images: Tensor, offsets: NDArray[np.int64]) -> Tensor:
    most = int(np.abs(offsets).max(initial=0))
    return _windows(F.pad(images, (most,) * 4), most - offsets, images.shape)


def _cropped(images: Tensor, offsets: NDArray[np.int64]) -> Tensor:
    most = int(np.abs(offsets).max(initial=0))
    return _windows(F.pad(images, (most,) * 4, mode="reflect"), most + offsets, images.shape)


def _windows(padded: Tensor, corners: NDArray[np.int64], shape: torch.Size) -> Tensor:
    """From each image the window of this shape whose upper left corner is given, (B, 2)."""
    rows, _, height, width = shape
    at = torch.from_numpy(corners).to(padded.device)
    down = at[:, :1] + torch.arange(height, device=padded.device)
    right = at[:, 1:] + torch.arange(width, device=padded.device)
    image = torch.arange(rows, device=padded.device)[:, None, None]
    return padded[image, :, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)
