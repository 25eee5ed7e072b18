"""NPZ and NPY files, memory-mapped where they are stored plainly; pickled ones are refused."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from steepest.data.memory import require_memory
from steepest.data.samples import Dataset
from steepest.data.sources.arrays import make_samples
from steepest.errors import DataError, did_you_mean

# (training inputs, training labels, test inputs, test labels, validation inputs and labels)
SPLIT_KEYS = (
    ("x_train", "y_train", "x_test", "y_test", "x_val", "y_val"),
    ("X_train", "y_train", "X_test", "y_test", "X_val", "y_val"),
    ("train_images", "train_labels", "test_images", "test_labels", "val_images", "val_labels"),
)
INPUT_KEYS = ("X", "x", "data", "images", "inputs", "features")
LABEL_KEYS = ("y", "target", "targets", "labels", "label")


def read_npy(path: Path) -> NDArray[Any]:
    """The array in an NPY file, memory-mapped."""
    try:
        array: NDArray[Any] = npy.open_memmap(path, mode="r")
    except Exception as error:  # the header is parsed as Python's literals: anything can rise
        raise DataError(_refusal(path, error)) from None
    return array


def read_npz(path: Path, target: str | None) -> Dataset:
    """The parts in an NPZ file, found by the usual names of its arrays.

    target: the name of the labels, where it is not a usual one. `is_test`, a mask, tells a test
    part apart; `classes` names the class indices.
    """
    arrays = _members(path)
    for keys in SPLIT_KEYS:
        if keys[0] in arrays and keys[1] in arrays:
            for x, y in zip(keys[::2], keys[1::2], strict=True):
                if (x in arrays) != (y in arrays):
                    lone, other = (x, y) if x in arrays else (y, x)
                    raise DataError(f"{path} has the array {lone}, but no {other}")
            parts = [
                make_samples(arrays[x], arrays[y], str(path)) if {x, y} <= arrays.keys() else None
                for x, y in zip(keys[::2], keys[1::2], strict=True)
            ]
            assert parts[0] is not None
            return Dataset(parts[0], test=parts[1], validation=parts[2])
    return _whole(path, arrays, target)


def _whole(path: Path, arrays: dict[str, NDArray[Any]], target: str | None) -> Dataset:
    if target is not None and target not in arrays:
        hint = did_you_mean(target, arrays) or f"; it has {', '.join(arrays)}"
        raise DataError(f"{path} has no array {target!r}{hint}")
    label_key = target or next((key for key in LABEL_KEYS if key in arrays), None)
    input_key = next((key for key in INPUT_KEYS if key in arrays), None)
    if input_key is None:
        raise DataError(
            f"{path} has the arrays {', '.join(arrays)}; steepest looks for X and y, data and "
            "target, images and labels, or x_train, y_train, x_test and y_test"
        )
    labels = arrays[label_key] if label_key else None
    samples = make_samples(arrays[input_key], labels, str(path), arrays.get("classes"))
    if "is_test" not in arrays:
        return Dataset(samples)
    mask = np.asarray(arrays["is_test"])
    if mask.shape != (len(samples),) or mask.dtype != bool:
        raise DataError(f"{path}: is_test must be a mask of {len(samples)} booleans")
    return Dataset(samples.take(np.flatnonzero(~mask)), test=samples.take(np.flatnonzero(mask)))


def _members(path: Path) -> dict[str, NDArray[Any]]:
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    arrays[info.filename[:-4]] = _member(path, archive, info)
    except DataError:
        raise
    except Exception as error:  # a damaged archive or header: anything can rise
        raise DataError(_refusal(path, error)) from None
    if not arrays:
        raise DataError(f"{path} holds no arrays")
    return arrays


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; mapped into memory where it lies unzipped in the file."""
    with archive.open(info) as file:
        version = npy.read_magic(file)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f"its member {info.filename} is of NPY version {version}")
        shape, fortran, dtype = read_header[version](file)
        header_size = file.tell()
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    promised = header_size + math.prod(shape) * dtype.itemsize
    if promised != info.file_size:
        raise ValueError(
            f"the header of {info.filename} promises {promised} bytes, but it has {info.file_size}"
        )
    if info.compress_type != zipfile.ZIP_STORED or 0 in shape or shape == ():
        require_memory(promised, path, "save it with numpy.savez, which is not unpacked")
        with archive.open(info) as file:
            array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
            return array
    with open(path, "rb") as raw:
        raw.seek(info.header_offset)
        local = raw.read(30)  # the fixed part of a local file header; names of two lengths follow
        names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    offset = info.header_offset + 30 + names + header_size
    if fortran:
        return np.memmap(path, dtype, mode="r", offset=offset, shape=shape[::-1]).T
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape)


def _refusal(path: Path, error: Exception) -> str:
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        return (
            f"{path} holds pickled objects, which can run code when they are read; save numbers or "
            "strings: array.astype(float) or array.astype(str)"
        )
    reason = str(error) or type(error).__name__
    return f"{path} cannot be read: {reason}"
