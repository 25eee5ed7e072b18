"""A folder of images, one folder a class, read with Pillow."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steepest.data.memory import require_memory
from steepest.data.samples import Dataset, Samples
from steepest.data.sources.folders import is_hidden
from steepest.errors import DataError, needs

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_PARTS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}


def read_image_folder(path: Path, size: int | tuple[int, int] | None) -> Dataset:
    """The images below a folder: CLASS/*.png, or train/CLASS/*.png and test, val likewise.

    size: pixels of each side after resizing, or (height, width); None asks that all images have
    one size. Raises DataError naming a file that is no image or of another size.
    """
    shape = (size, size) if isinstance(size, int) else size
    if shape is not None and (len(shape) != 2 or min(shape) < 1):
        raise DataError(f"image_size must be a number of pixels or (height, width), not {size!r}")
    children = {child.name.lower(): child for child in path.iterdir() if _is_class(child)}
    # A folder `train` that holds images itself is a class: pictures of trains.
    if "train" not in children or not _class_folders(children["train"]):
        return Dataset(_read_classes(path, shape))
    parts = {
        part: _read_classes(children[folder], shape)
        for folder, part in _PARTS.items()
        if folder in children
    }
    return Dataset(parts["train"], parts.get("validation"), parts.get("test"))


def _class_folders(folder: Path) -> list[str]:
    return sorted(child.name for child in folder.iterdir() if _is_class(child))


def _is_class(path: Path) -> bool:
    return path.is_dir() and not is_hidden(path.name)


def _image_files(folder: Path) -> list[Path]:
    """The images below a folder, in the order of their names; what is hidden does not count."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _ENDINGS
        and path.is_file()
        and not any(map(is_hidden, path.relative_to(folder).parts))
    )


def _read_classes(folder: Path, size: tuple[int, int] | None) -> Samples:
    names = _class_folders(folder)
    paths: list[Path] = []
    labels: list[str] = []
    for name in names:
        found = _image_files(folder / name)
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
    return Samples(_stack(_read_images(paths, size), paths), np.array(labels), str(folder))


def _read_images(paths: list[Path], size: tuple[int, int] | None) -> list[NDArray[np.uint8]]:
    with needs("images", "a folder of images"):
        from PIL import Image

    _require_room(paths[0], len(paths), size)
    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
    ):
        # Pillow only warns of an image of 90 to 180 million pixels; here it is refused.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        futures = [pool.submit(_read_image, path, size) for path in paths]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _require_room(first: Path, count: int, size: tuple[int, int] | None) -> None:
    """All images have one size in the end: that of the first, or the one that was asked for."""
    from PIL import Image

    if size is None:
        try:
            with Image.open(first) as opened:
                size = opened.size
        except Exception:
            return  # reading it will say what is wrong with it
    needed = count * 3 * size[0] * size[1]
    require_memory(2 * needed, first.parent.parent, "set a smaller image_size")


def _read_image(path: Path, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(1, H, W) for a grey image, (3, H, W) for one in colour. size: (H, W) to resize to."""
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
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(image, dtype=np.uint8)
    except Exception as error:  # bombs, and whatever a decoder makes of damaged bytes
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
