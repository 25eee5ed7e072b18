"""Where the arrays of a run lie, and how a script reads them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from steepest.data import Dataset, is_named
from steepest.data.sources.idx import find_idx_folder, is_idx
from steepest.data.sources.named import canonical
from steepest.data.sources.npz import INPUT_KEYS, LABEL_KEYS, SPLIT_KEYS
from steepest.errors import RunError
from steepest.export.script.compose import Constants, literal
from steepest.recipe import Recipe

_SKLEARN = ("digits", "iris", "wine", "breast_cancer")


class ArrayParts(NamedTuple):
    """How arrays are read.

    Attributes:
        within: What is opened for it, "" for nothing.
        parts: By part an expression of its rows and labels.
        constants: What these use.
    """

    within: str
    parts: dict[str, str]
    constants: Constants


def array_parts(recipe: Recipe, dataset: Dataset, given: Sequence[str]) -> ArrayParts:
    """How the arrays of a run are read.

    Args:
        recipe: Of the run.
        dataset: What was read.
        given: The parts beside the training part that came as such.

    Raises:
        RunError: A script does not read such data.
    """
    source = recipe.data
    assert source is not None
    name, path = canonical(source), Path(source)
    if is_named(source) and name in _SKLEARN:
        return ArrayParts("", {"train": f"load_{name}(return_X_y=True)"}, {})
    if path.suffix.lower() == ".npz":
        parts = dict(_npz_parts(npz_names(source), recipe.target))
        return ArrayParts("np.load(DATA) as file", parts, {"DATA": (source, "")})
    if path.suffix.lower() == ".npy":
        constants: Constants = {"DATA": (source, ""), "LABELS": (recipe.target, "")}
        return ArrayParts("", {"train": "np.load(DATA), np.load(LABELS)"}, constants)
    there = {"train": dataset.train} | {part: getattr(dataset, part) for part in given}
    files = {part: Path(samples.source) for part, samples in there.items()}
    if is_named(source) or is_idx(path) or (path.is_dir() and find_idx_folder(path)):
        return _idx_parts(files)
    if path.is_dir() and all(folder.is_dir() for folder in files.values()):
        size = dataset.train.inputs.shape[1:]
        several_sizes = bool(dataset.notes)  # of a folder of images they tell nothing else
        return _image_parts(files, size, resized=several_sizes or recipe.image_size is not None)
    raise not_written("such data", source)


def npz_names(source: str) -> list[str]:
    """The arrays in an NPZ file; none for another source."""
    if Path(source).suffix.lower() != ".npz":
        return []
    with np.load(source) as file:
        return list(file.files)


def not_written(what: str, source: str) -> RunError:
    """The error for data that a script does not read."""
    where = f", {source!r}" if source else ""
    return RunError(
        f"a script cannot be written for {what}{where}: it reads CSV, Parquet, NPZ, NPY and IDX "
        "files, folders of images and scikit-learn's data sets; save the rows as one of these and "
        "train on that"
    )


def _npz_parts(names: list[str], target: str | None) -> Iterator[tuple[str, str]]:
    for keys in SPLIT_KEYS:
        if keys[0] in names and keys[1] in names:
            for part, i in (("train", 0), ("validation", 4), ("test", 2)):
                if keys[i] in names:
                    yield part, f'(file["{keys[i]}"], file["{keys[i + 1]}"])'
            return
    x = next(key for key in INPUT_KEYS if key in names)
    y = target or next(key for key in LABEL_KEYS if key in names)
    pair = f"file[{literal(x)}]", f"file[{literal(y)}]"
    if "is_test" not in names:
        yield "train", ", ".join(pair)
        return
    for part, mask in (("train", '~file["is_test"]'), ("test", 'file["is_test"]')):
        yield part, f"({', '.join(f'{array}[{mask}]' for array in pair)})"


def _idx_parts(files: dict[str, Path]) -> ArrayParts:
    parts, constants = {}, dict[str, tuple[str, str]]()
    for part, images in files.items():
        prefix = "" if part == "train" else f"{part.upper()}_"
        constants[f"{prefix}IMAGES"] = (str(images), "")
        constants[f"{prefix}LABELS"] = (str(_labels_beside(images)), "")
        parts[part] = f"(read_idx({prefix}IMAGES)[:, None], read_idx({prefix}LABELS))"
    return ArrayParts("", parts, constants)


def _labels_beside(images: Path) -> Path:
    """The file of labels of a file of IDX images."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    return next(p for p in (images.with_name(name), images.with_name(f"{name}.gz")) if p.is_file())


def _image_parts(files: dict[str, Path], size: tuple[int, ...], *, resized: bool) -> ArrayParts:
    names = {part: "DATA" if part == "train" else f"{part.upper()}_DATA" for part in files}
    constants: Constants = {names[part]: (str(folder), "") for part, folder in files.items()}
    constants["MODE"] = ("L" if size[0] == 1 else "RGB", "of Pillow: grey or in colour")
    constants["SIZE"] = (tuple(size[1:]), "height and width")
    reader = "read_resized_images" if resized else "read_images"
    return ArrayParts("", {part: f"{reader}({name})" for part, name in names.items()}, constants)
