"""How folders of images are read."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from steepest.export.script.pieces.constants import MODE, SIZE


def read_images(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of the images below a folder, (N, C, H, W), and the folder of each."""
    names = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    files = [(path, name) for name in names for path in sorted(Path(folder, name).rglob("*.*"))]
    pixels = [np.asarray(upright(path).convert(MODE)) for path, _ in files]
    X = np.stack(pixels).reshape(len(files), *SIZE, -1)
    return np.ascontiguousarray(np.moveaxis(X, -1, 1)), np.array([name for _, name in files])


def read_resized_images(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """The images below a folder, brought to one size, (N, C, H, W), and the folder of each."""
    names = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    files = [(path, name) for name in names for path in sorted(Path(folder, name).rglob("*.*"))]
    images = [upright(path).convert(MODE) for path, _ in files]
    resized = [image.resize(SIZE[::-1], Image.Resampling.BILINEAR) for image in images]
    X = np.stack([np.asarray(image) for image in resized]).reshape(len(files), *SIZE, -1)
    return np.ascontiguousarray(np.moveaxis(X, -1, 1)), np.array([name for _, name in files])


def upright(path: Path) -> Image.Image:
    """An image, turned as its camera says that it was held."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image)
