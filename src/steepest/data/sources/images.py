"""A folder of images, one folder a class, read with Pillow."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steepest.data.memory import require_memory
from steepest.data.samples import Dataset, Samples
from steepest.data.sources.folders import is_hidden
from steepest.errors import DataError, needs

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_LARGEST_COMMON_SIDE = 64
# EXIF's tag, and those of its values that turn an image by a quarter.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_PARTS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}


def read_image_folder(path: Path, size: int | tuple[int, int] | None) -> Dataset:
    """The images below a folder: CLASS/*.png, or train/CLASS/*.png and test, val likewise.

    size: pixels of each side after resizing, or (height, width); None leaves images of one size as
    they are, and resizes those of several to squares of one side, which a note tells. Raises
    DataError naming a file that is no image.
    """
    shape = (size, size) if isinstance(size, int) else size
    if shape is not None and (len(shape) != 2 or min(shape) < 1):
        raise DataError(f"image_size must be a number of pixels or (height, width), not {size!r}")
    children = {child.name.lower(): child for child in path.iterdir() if _is_class(child)}
    # A folder `train` that holds images itself is a class: pictures of trains.
    if "train" not in children or not _class_folders(children["train"]):
        files = {"train": _files_of(path)}
    else:
        files = {
            part: _files_of(children[folder])
            for folder, part in _PARTS.items()
            if folder in children
        }
    with needs("images", "a folder of images"):
        from PIL import Image  # noqa: F401
    notes: tuple[str, ...] = ()
    if shape is None:
        shape, notes = _common_size(files["train"].paths)
    parts = {part: _samples(of, shape) for part, of in files.items()}
    return Dataset(parts["train"], parts.get("validation"), parts.get("test"), notes)


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


class _Files(NamedTuple):
    """The images below a folder, with their classes."""

    folder: Path
    paths: list[Path]
    labels: list[str]


def _files_of(folder: Path) -> _Files:
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
    return _Files(folder, paths, labels)


def _samples(files: _Files, size: tuple[int, int] | None) -> Samples:
    images = _stack(_read_images(files.paths, size), files.paths)
    return Samples(images, np.array(files.labels), str(files.folder))


def _common_size(paths: list[Path]) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """What images of several sizes are resized to, with a note; None if they have one size.

    A square of their median side, the root of height times width, but of no more than 64 pixels:
    enough to tell most things apart, and nets for it are trained in minutes.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        sizes = [size for size in pool.map(_size_of_file, paths) if size is not None]
    several = set(sizes)
    if len(several) < 2:
        return None, ()
    middle = float(np.median([np.sqrt(height * width) for height, width in sizes]))
    side = max(1, min(_LARGEST_COMMON_SIDE, round(middle)))
    least, most = (f"{w} x {h}" for h, w in (min(several), max(several)))
    return (side, side), (
        f"the images have {len(several)} sizes, {least} to {most} pixels, and are resized to "
        f"{side} x {side}: image_size sets another",
    )


def _size_of_file(path: Path) -> tuple[int, int] | None:
    """(H, W) by the header, as the image is looked at; None if it cannot be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                width, height = opened.size
                turned = opened.getexif().get(_ORIENTATION, 1) in _TURNED
    except Exception:
        return None  # reading it will say what is wrong with it
    return (width, height) if turned else (height, width)


def _read_images(paths: list[Path], size: tuple[int, int] | None) -> list[NDArray[np.uint8]]:
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
