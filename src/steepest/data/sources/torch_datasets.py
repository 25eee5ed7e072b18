"""torch's map-style datasets, torchvision's among them, told by what they have."""

from typing import Any

import numpy as np

from steepest.data.samples import Dataset, Samples
from steepest.data.sources.arrays import as_array, as_plain, make_samples
from steepest.errors import DataError


def is_map_style(value: Any) -> bool:
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


def read_torch_dataset(dataset: Any) -> Dataset:
    """The samples of a dataset whose items are (x, y).

    A TensorDataset and a torchvision dataset that holds its images in `data` and `targets` are read
    as they are, without a copy; a Subset of one shares its rows. Any other is read item by item,
    once. Raises DataError for iterable datasets and data loaders.
    """
    if hasattr(dataset, "batch_size") and hasattr(dataset, "dataset"):
        raise DataError(
            "this is a DataLoader; pass loader.dataset: steepest keeps the rows in memory and "
            "makes the minibatches itself"
        )
    source = type(dataset).__name__
    if _is_iterable_only(dataset):
        raise DataError(
            f"a {source} has no length or cannot be indexed; steepest needs a map-style dataset, "
            "with __len__ and __getitem__, or arrays"
        )
    if not is_map_style(dataset):
        raise DataError(
            f"cannot load a {source}; pass a path, a name, (X, y), a data frame, a torch dataset, "
            "or Samples"
        )
    samples = _in_memory(dataset, source)
    return _item_by_item(dataset, source) if samples is None else Dataset(samples)


def _in_memory(dataset: Any, source: str) -> Samples | None:
    """The samples of a dataset that holds its rows as arrays; None for any other."""
    tensors = getattr(dataset, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) == 2:
        return make_samples(*tensors, source)
    if hasattr(dataset, "data") and hasattr(dataset, "targets") and _untransformed(dataset):
        return _images_in_memory(dataset, source)
    if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):
        whole = _in_memory(dataset.dataset, type(dataset.dataset).__name__)
        return whole and whole.take(np.asarray(dataset.indices, dtype=np.int64))
    return None


def _is_iterable_only(dataset: Any) -> bool:
    # torch's IterableDataset inherits a __getitem__ that only raises.
    from torch.utils.data import IterableDataset

    return isinstance(dataset, IterableDataset)


def _untransformed(dataset: Any) -> bool:
    """Whether items are what `data` holds: no transform, or only ToTensor's division by 255."""
    if getattr(dataset, "target_transform", None) is not None:
        return False
    transform = getattr(dataset, "transform", None)
    kind = type(transform)
    to_tensor = kind.__name__ == "ToTensor" and kind.__module__.startswith("torchvision.")
    return transform is None or (to_tensor and as_plain(dataset.data).dtype == np.uint8)


def _images_in_memory(dataset: Any, source: str) -> Samples:
    """Torchvision's grey images (N, H, W) and coloured ones (N, H, W, C), as (N, C, H, W)."""
    images = as_array(dataset.data, source)
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[-1] in (1, 3, 4):
        images = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    return make_samples(images, dataset.targets, source, getattr(dataset, "classes", None))


def _item_by_item(dataset: Any, source: str) -> Dataset:
    inputs, labels = [], []
    for i in range(len(dataset)):
        try:
            item = dataset[i]
        except Exception as error:
            raise DataError(f"{source}: item {i} cannot be read: {error!r}") from error
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(f"{source}: item {i} must be (x, y), but is a {type(item).__name__}")
        inputs.append(_as_row(item[0]))
        labels.append(as_plain(item[1]))
        if inputs[i].shape != inputs[0].shape:
            raise DataError(
                f"{source}: item {i} has the shape {inputs[i].shape}, but item 0 has "
                f"{inputs[0].shape}; items of one shape are needed"
            )
    if not inputs:
        raise DataError(f"{source} has no items")
    names = getattr(dataset, "classes", None)
    samples = make_samples(np.stack(inputs), np.array(labels), source, names)
    note = f"{source} was read once into memory; random transforms are as that reading drew them"
    return Dataset(samples, notes=(note,))


def _as_row(x: Any) -> Any:
    """One item's x as an array; a Pillow image becomes (C, H, W)."""
    array = np.asarray(as_plain(x))
    if hasattr(x, "getbands") and array.ndim in (2, 3):
        return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    return array
