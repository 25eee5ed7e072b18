"""IDX files (MNIST's format), plain or gzip, in torchvision's folder layout."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steepest.data.memory import require_memory
from steepest.data.samples import Dataset, Samples
from steepest.data.sources.folders import is_hidden
from steepest.errors import DataError

_IMAGES, _LABELS = 0x00000803, 0x00000801
_WHAT = {_IMAGES: "images", _LABELS: "labels"}
# Deflate cannot do better than this.
_MOST_DEFLATION = 1032
_PARTS = {"train": "train", "test": "t10k"}


def read_idx(path: Path, magic: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file in its shape. A plain file is memory-mapped.

    magic: 0x803 for images (N, H, W), 0x801 for labels (N,). Raises DataError for another magic
    number and for a file that is longer or shorter than its header says.
    """
    dimensions = magic & 0xFF
    header_size = 4 + 4 * dimensions
    zipped = _is_gzip(path)
    with gzip.open(path) if zipped else open(path, "rb") as file:
        try:
            header = file.read(header_size)
            if len(header) < header_size:
                raise DataError(
                    f"{path} is truncated: an IDX header has {header_size} bytes, but there are "
                    f"{len(header)}"
                )
            words = [int.from_bytes(header[i : i + 4], "big") for i in range(0, header_size, 4)]
            if words[0] != magic:
                raise DataError(
                    f"{path} has the wrong magic number 0x{words[0]:08x}; a file of IDX "
                    f"{_WHAT[magic]} begins with 0x{magic:08x}"
                )
            shape = tuple(words[1:])
            if 0 in shape:
                raise DataError(f"{path} is empty: its header promises the shape {shape}")
            size = int(np.prod(shape, dtype=object))
            if zipped and size > _MOST_DEFLATION * path.stat().st_size:
                raise DataError(
                    f"{path} is truncated: its header promises {size} bytes for the shape {shape}, "
                    f"which cannot come from {path.stat().st_size} zipped bytes"
                )
            if zipped:
                require_memory(size, path, "unpack it with gunzip: plain files are not read whole")
            # One byte more than promised shows a file that is too long, and bounds what is read.
            body = file.read(size + 1) if zipped else b""
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path} is a damaged gzip file: {error}") from None
    found = len(body) if zipped else path.stat().st_size - header_size
    if found != size:
        more = " or more" if found > size and zipped else ""
        state = "truncated" if found < size else "too long"
        raise DataError(
            f"{path} is {state}: its header promises {size} bytes for the shape {shape}, but there "
            f"are {found}{more}"
        )
    if zipped:
        return np.frombuffer(body, dtype=np.uint8).reshape(shape)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=header_size, shape=shape)


def find_idx_folder(path: Path) -> Path | None:
    """The folder with the training images: this one, its `raw`, or torchvision's `*/raw` below."""
    below = (child for child in path.glob("*/raw") if not is_hidden(child.parent.name))
    candidates = [path, path / "raw", *sorted(below)]
    return next((folder for folder in candidates if _find(folder, "train", "images")), None)


def read_idx_folder(folder: Path, class_names: tuple[str, ...] | None = None) -> Dataset:
    """The train and test parts of a folder of IDX files."""
    parts = {}
    for name, prefix in _PARTS.items():
        images, labels = (_find(folder, prefix, what) for what in ("images", "labels"))
        if images and labels:
            parts[name] = _read_part(images, labels, class_names)
    if "train" not in parts:
        raise DataError(f"{folder} has no train-labels-idx1-ubyte beside its images")
    return Dataset(parts["train"], test=parts.get("test"))


def read_idx_images(path: Path) -> Dataset:
    """One file of images with the file of labels beside it."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    beside = [path.with_name(name), path.with_name(f"{name}.gz")]
    labels = next((file for file in beside if file.is_file() and file != path), None)
    if labels is None:
        raise DataError(f"{path} needs its labels beside it, in {name}")
    return Dataset(_read_part(path, labels, None))


def is_idx(path: Path) -> bool:
    return "idx1" in path.name or "idx3" in path.name


def _read_part(images: Path, labels: Path, class_names: tuple[str, ...] | None) -> Samples:
    pixels, numbers = read_idx(images, _IMAGES), read_idx(labels, _LABELS)
    if len(pixels) != len(numbers):
        raise DataError(
            f"{images} has {len(pixels)} images, but {labels} has {len(numbers)} labels"
        )
    return Samples(pixels[:, None], numbers.astype(np.int64), str(images), class_names=class_names)


def _find(folder: Path, prefix: str, what: str) -> Path | None:
    dimension = {"images": "idx3", "labels": "idx1"}[what]
    # Both spellings are about: the dot is what some unpackers leave.
    for stem in (f"{prefix}-{what}-{dimension}-ubyte", f"{prefix}-{what}.{dimension}-ubyte"):
        for ending in ("", ".gz"):
            path = folder / (stem + ending)
            if path.is_file():
                return path
    return None


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"
