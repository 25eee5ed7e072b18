"""torch's map-style datasets, torchvision's among them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.data.samples import Dataset, Samples
from steepest.data.sources.arrays import as_array, as_plain, make_samples
from steepest.errors import DataError

# torchvision's classes whose items are the rows of `data` and `targets`, by module and name: it
# need not be installed. With the shape of `data` behind the first dimension, None for any length.
_GREY, _COLOURED = (None, None), (None, None, 3)
_TORCHVISION = {
    **{("mnist", name): _GREY for name in ("MNIST", "FashionMNIST", "KMNIST", "EMNIST")},
    **{("cifar", name): _COLOURED for name in ("CIFAR10", "CIFAR100")},
    ("usps", "USPS"): _GREY,
}
_NO_LABEL = object()


def read_torch_dataset(dataset: Any, *, labels_needed: bool = True) -> Dataset:
    """The samples of a dataset whose items are (x, y).

    A TensorDataset, a torchvision dataset of pictures in memory without transforms, and a Subset
    of one are read as they are. Anything else, a subclass of these too, is read item by item, once:
    what its __getitem__, or __getitems__, and __len__ say counts. labels_needed: else items may be
    x alone. Raises DataError for iterable datasets and data loaders.
    """
    source = type(dataset).__name__
    if _is_loader(dataset):
        raise DataError(
            f"this is a {source}; pass loader.dataset: steepest keeps the rows in memory and "
            "makes the minibatches itself"
        )
    if isinstance(dataset, (Mapping, type, bytes)):
        raise DataError(_refusal(dataset, source))
    if _is_iterable_only(dataset):
        raise DataError(
            f"a {source} has no length or cannot be indexed; steepest needs a map-style dataset, "
            "with __len__ and __getitem__, or arrays"
        )
    if not _is_map_style(dataset):
        raise DataError(_refusal(dataset, source))
    samples = _in_memory(dataset, source)
    return _item_by_item(dataset, source, labels_needed) if samples is None else Dataset(samples)


def _refusal(value: Any, source: str) -> str:
    if isinstance(value, type):
        return f"cannot load the class {value.__name__}; pass an object of it"
    if isinstance(value, Mapping):
        names = ", ".join(map(repr, list(value)[:10]))
        return (
            f"cannot load a {source} with the keys {names}; pass (X, y) of two of its values, or a "
            "data frame of its columns"
        )
    return (
        f"cannot load a {source}; pass a path, a name, (X, y), a data frame, a torch dataset, "
        "or Samples"
    )


def _is_loader(value: Any) -> bool:
    from torch.utils.data import DataLoader

    # Loaders of other makers: they give batches, not items.
    foreign = hasattr(value, "batch_size") and hasattr(value, "dataset")
    return isinstance(value, DataLoader) or (foreign and not hasattr(value, "__getitem__"))


def _is_map_style(value: Any) -> bool:
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _is_iterable_only(dataset: Any) -> bool:
    # torch's IterableDataset inherits a __getitem__ that only raises; its Dataset has no __len__.
    from torch.utils.data import Dataset as TorchDataset
    from torch.utils.data import IterableDataset

    unsized = isinstance(dataset, TorchDataset) and not hasattr(dataset, "__len__")
    return isinstance(dataset, IterableDataset) or unsized


def _in_memory(dataset: Any, source: str) -> Samples | None:
    """The samples of a dataset that is known to hold its items as arrays; None for any other.

    The class itself is asked for: what a subclass makes of the arrays is not known.
    """
    from torch.utils.data import Subset, TensorDataset

    kind = type(dataset)
    if kind is TensorDataset and len(dataset.tensors) == 2:
        inputs, labels = dataset.tensors
        return make_samples(inputs, labels, source)
    if kind is Subset:
        whole = _in_memory(dataset.dataset, type(dataset.dataset).__name__)
        return whole and _subset(whole, dataset.indices)
    package, _, module = kind.__module__.rpartition(".")
    shape = _TORCHVISION.get((module, kind.__name__)) if package == "torchvision.datasets" else None
    if shape is None or dataset.target_transform is not None:
        return None
    return _pictures(dataset, source, shape)


def _subset(whole: Samples, indices: Any) -> Samples:
    """The rows of a Subset; its indices may count from the end."""
    try:
        rows = np.arange(len(whole))[np.asarray(as_plain(indices), dtype=np.int64)]
    except (IndexError, TypeError, ValueError) as error:
        raise DataError(f"Subset: its indices do not fit its dataset: {error}") from None
    if rows.ndim != 1 or not len(rows):
        raise DataError(f"Subset has no items: its indices have the shape {rows.shape}")
    return whole.take(rows)


def _pictures(dataset: Any, source: str, shape: tuple[int | None, ...]) -> Samples | None:
    """Torchvision's pictures as its items have them, (N, C, H, W); None if they are not known.

    With ToTensor they are divided by 255 in float32, as it does.
    """
    pictures, to_tensor = as_plain(dataset.data), _is_to_tensor(dataset.transform)
    if not (to_tensor or dataset.transform is None) or not _fits(pictures, shape):
        return None
    images = pictures[:, None] if pictures.ndim == 3 else np.moveaxis(pictures, -1, 1)
    images = np.ascontiguousarray(images)
    if to_tensor:
        images = np.divide(images, np.float32(255), dtype=np.float32)
    return make_samples(images, dataset.targets, source, _class_names(dataset))


def _is_to_tensor(transform: Any) -> bool:
    kind = type(transform)
    return kind.__name__ == "ToTensor" and kind.__module__ == "torchvision.transforms.transforms"


def _fits(pictures: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether this is an array of bytes, (N, *shape)."""
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8:
        return False
    found = pictures.shape[1:]
    return len(found) == len(shape) and all(
        known in (None, size) for known, size in zip(shape, found, strict=True)
    )


def _class_names(dataset: Any) -> Any:
    """What the dataset calls its class indices; None where a transform may have changed them."""
    from torch.utils.data import Subset

    while type(dataset) is Subset:
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    plain = getattr(dataset, "target_transform", None) is None
    return names if plain and isinstance(names, (list, tuple)) else None


def _item_by_item(dataset: Any, source: str, labels_needed: bool) -> Dataset:
    inputs: list[NDArray[Any]] = []
    labels: list[Any] = []
    for i in range(_length(dataset, source)):
        x, y = _read_item(dataset, i, source, labels_needed)
        inputs.append(x)
        labels.append(y)
        if x.shape != inputs[0].shape:
            raise DataError(
                f"{source}: item {i} has the shape {x.shape}, but item 0 has "
                f"{inputs[0].shape}; items of one shape are needed"
            )
    if not inputs:
        raise DataError(f"{source} has no items")
    known = None if any(label is _NO_LABEL for label in labels) else labels
    samples = make_samples(np.stack(inputs), known, source, _class_names(dataset))
    note = f"{source} was read once into memory; random transforms are as that reading drew them"
    return Dataset(samples, notes=(note,))


def _length(dataset: Any, source: str) -> int:
    try:
        return len(dataset)
    except Exception as error:  # whatever a stranger's __len__ raises
        raise DataError(f"{source} has no length: {error!r}") from error


def _read_item(dataset: Any, i: int, source: str, labels_needed: bool) -> tuple[NDArray[Any], Any]:
    """One item's x and y; y is _NO_LABEL where an item may be x alone, and is."""
    try:
        item = _item(dataset, i)
    except Exception as error:  # whatever a stranger's __getitem__ raises
        raise DataError(f"{source}: item {i} cannot be read: {error!r}") from error
    where = f"{source}: item {i}"
    pair = isinstance(item, (tuple, list))
    if not labels_needed and not isinstance(item, Mapping) and (not pair or len(item) == 1):
        return _as_row(item[0] if pair else item, where), _NO_LABEL
    if not pair or len(item) != 2:
        found = f"a {type(item).__name__}"
        if isinstance(item, Mapping):
            found += f" with the keys {', '.join(map(str, item))}"
        elif pair:
            found += f" of {len(item)}"
        raise DataError(
            f"{where} must be (x, y), but is {found}; wrap the dataset in one whose __getitem__ "
            "returns the two that count"
        )
    y = as_plain(item[1])
    return _as_row(item[0], where), y[()] if isinstance(y, np.ndarray) else y


def _item(dataset: Any, i: int) -> Any:
    """An item as torch's DataLoader takes it: by __getitems__, a list of them, if it is there.

    Where that gives batches, for a loader's collate_fn, the item itself is asked for.
    """
    several = getattr(dataset, "__getitems__", None)
    items = several([i]) if several else None
    return items[0] if isinstance(items, list) and len(items) == 1 else dataset[i]


def _as_row(x: Any, where: str) -> NDArray[Any]:
    """One item's x as an array; a Pillow image becomes (C, H, W)."""
    if hasattr(x, "getbands"):
        pixels = np.asarray(x)
        return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return as_array(x, where)
