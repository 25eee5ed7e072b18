"""Data sets by name: scikit-learn's small ones, and MNIST and Fashion-MNIST where they lie."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steepest.data.samples import Dataset
from steepest.data.sources.arrays import make_samples
from steepest.data.sources.idx import find_idx_folder, read_idx_folder
from steepest.errors import DataError, needs
from steepest.recipe import DATA_SETS

_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_DIGITS = tuple("0123456789")
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
# Where the lecture, torchvision's examples and other programs keep their data.
_ROOTS = ("datasets", "data", "~/.cache/steepest", "~/datasets", "~/data")


def _from_sklearn(name: str) -> Callable[[Path | None], Dataset]:
    def read(root: Path | None) -> Dataset:
        with needs("datasets", f"the data set {name!r}"):
            from sklearn import datasets

        bunch: Any = getattr(datasets, f"load_{name}")()
        return Dataset(make_samples(bunch.data, bunch.target, name, bunch.target_names))

    return read


def _fashion_mnist(root: Path | None) -> Dataset:
    places = [*_places("FashionMNIST", root), _DEBIAN]
    hint = "install Debian's package dataset-fashion-mnist, or "
    return _find("fashion-mnist", "FashionMNIST", places, _FASHION, hint)


def _mnist(root: Path | None) -> Dataset:
    return _find("mnist", "MNIST", _places("MNIST", root), _DIGITS, "")


_ON_THE_MACHINE = {"fashion_mnist": _fashion_mnist, "mnist": _mnist}
NAMED: dict[str, Callable[[Path | None], Dataset]] = {
    name: _ON_THE_MACHINE.get(name) or _from_sklearn(name) for name in DATA_SETS
}


def canonical(name: str) -> str:
    """The name as the table has it: small letters, underscores."""
    return name.lower().replace("-", "_")


def _places(torchvision: str, root: Path | None) -> list[Path]:
    """Where the files may lie: <root>/MNIST/raw as torchvision has it, and <root> itself."""
    given = os.environ.get("STEEPEST_DATA")
    roots = [root] if root else [Path(given)] if given else []
    roots += [] if root else [Path(path).expanduser() for path in _ROOTS]
    named = [path / torchvision for path in roots]
    # A root itself may hold any IDX files, so it counts only where the user named it.
    return named + ([*roots[:1]] if root or given else [])


def _find(
    name: str, torchvision: str, places: list[Path], classes: tuple[str, ...], hint: str
) -> Dataset:
    for place in places:
        folder = next((p for p in (place / "raw", place) if find_idx_folder(p) == p), None)
        if folder:
            return read_idx_folder(folder, classes)
    looked = ", ".join(map(str, places))
    raise DataError(
        f"{name} is not on this machine (looked in {looked}); {hint}download it with "
        f"torchvision.datasets.{torchvision}('datasets', download=True), or name the folder that "
        "holds it: root=..., or STEEPEST_DATA in the environment"
    )
