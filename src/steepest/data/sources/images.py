"""A folder of images, one folder a class, read with Pillow."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steepest.data.samples import Dataset, Samples
from steepest.errors import DataError

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_PARTS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}


def read_image_folder(path: Path, size: int | None) -> Dataset:
    """The images below a folder: CLASS/*.png, or train/CLASS/*.png and test, val likewise.

    size: pixels of each side after resizing; None asks that all images have one size.
    """
    children = {child.name.lower(): child for child in path.iterdir() if child.is_dir()}
    if "train" not in children:
        return Dataset(_read_classes(path, size))
    parts = {
        part: _read_classes(children[folder], size)
        for folder, part in _PARTS.items()
        if folder in children
    }
    return Dataset(parts["train"], parts.get("validation"), parts.get("test"))


def _class_folders(folder: Path) -> list[str]:
    return sorted(
        child.name for child in folder.iterdir() if child.is_dir() and child.name[0] != "."
    )


def _read_classes(folder: Path, size: int | None) -> Samples:
    names = _class_folders(folder)
    paths: list[Path] = []
    labels: list[str] = []
    for name in names:
        found = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in _ENDINGS)
        if not found:
            endings = ", ".join(sorted(_ENDINGS))
            raise DataError(f"{folder / name} holds no images ({endings})")
        paths += found
        labels += [name] * len(found)
    if not paths:
        raise DataError(
            f"{folder} holds no data: a folder for each class with images in it, or IDX files, "
            "is needed"
        )
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        images = list(pool.map(lambda path: _read_image(path, size), paths))
    return Samples(_stack(images, paths), np.array(labels), str(folder))


def _read_image(path: Path, size: int | None) -> NDArray[np.uint8]:
    """(1, H, W) for a grey image, (3, H, W) for one in colour."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"it has pixels of mode {image.mode}; save it with 8 bits")
            if "transparency" in image.info:
                image = image.convert("RGBA")
            grey = image.mode in ("1", "L", "LA")
            image = image.convert("L" if grey else "RGB")
            if size is not None:
                image = image.resize((size, size), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from None
    return pixels[None] if grey else np.moveaxis(pixels, -1, 0)


def _stack(images: list[NDArray[np.uint8]], paths: list[Path]) -> NDArray[np.uint8]:
    for image, path in zip(images, paths, strict=True):
        if image.shape[1:] != images[0].shape[1:]:
            raise DataError(
                f"the images have different sizes: {paths[0]} has {_size(images[0])} pixels, "
                f"{path} has {_size(image)}; set image_size to resize them all"
            )
    channels = max(len(image) for image in images)
    stacked = np.empty((len(images), channels, *images[0].shape[1:]), dtype=np.uint8)
    for place, image in zip(stacked, images, strict=True):
        place[:] = image  # a grey image among coloured ones fills all three channels
    return stacked


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"
