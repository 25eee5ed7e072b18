"""Rows of a data set as the tensors that a model takes: gathered, cast and scaled."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steepest.data import Inputs, PiecewiseColumns


class Rows:
    """`rows[indices]` is the minibatch of these rows, on the device and in the type of `like`.

    The data stay as they lie (uint8 images, a memory-mapped file): only the rows of one minibatch
    are ever converted. Integers that are not scaled stay integers, for embeddings.
    """

    def __init__(self, inputs: Inputs, like: Tensor) -> None:
        device = like.device
        self._data = as_tensor(inputs.array).to(device)
        self._rows = None if inputs.rows is None else torch.from_numpy(inputs.rows).to(device)
        self._dtype = like.dtype
        self._keep_integers = self._data.dtype == torch.int64
        scaler = inputs.scaler
        self._scaled = not scaler.is_identity
        self._offset = torch.as_tensor(scaler.offset, dtype=like.dtype, device=device)
        self._factor = torch.as_tensor(scaler.factor, dtype=like.dtype, device=device)
        self._shift = float(scaler.shift)
        self._centred = bool((self._offset != 0).any())
        self._count = len(inputs)
        columns = inputs.piecewise
        self._columns = None if columns is None else _Columns(columns, like)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, indices: Tensor) -> Tensor:
        """The rows at these indices (0 .. len-1), (B, ...). indices: (B,) int64."""
        if self._rows is not None:
            indices = self._rows.index_select(0, indices)
        batch = self._data.index_select(0, indices)
        if self._keep_integers:
            return batch
        batch = batch.to(self._dtype)
        if self._columns is not None:
            return self._columns.expand(batch)
        if self._scaled:
            if self._centred:
                batch.sub_(self._offset)
            batch.mul_(self._factor)
            if self._shift:
                batch.add_(self._shift)
        return batch


class _Columns:
    """`PiecewiseColumns.expand` by torch, on the device of `like`."""

    def __init__(self, columns: PiecewiseColumns, like: Tensor) -> None:
        features = np.repeat(np.arange(len(columns.bins)), columns.bins)
        numbers = np.concatenate([np.arange(count) for count in columns.bins])
        places = (columns.first[features] + numbers, features, numbers, columns.first)
        self._to, self._feature, self._number, self._first = (
            torch.from_numpy(part).to(like.device) for part in places
        )
        self._plain, self._values, self._places = (
            torch.from_numpy(part).to(like.device)
            for part in (columns.plain, columns.values, columns.places)
        )
        self._width = columns.width
        self._empty, self._full = (
            torch.as_tensor(part, dtype=like.dtype, device=like.device)[self._to]
            for part in (columns.empty, columns.full)
        )

    def expand(self, kept: Tensor) -> Tensor:
        dense = kept.new_empty((len(kept), self._width))
        dense[:, self._plain[:, 1]] = kept[:, self._plain[:, 0]]
        places = kept[:, self._places]
        below = self._number < places[:, self._feature]
        dense[:, self._to] = torch.where(below, self._full, self._empty)
        return dense.scatter_(1, self._first + places.long(), kept[:, self._values])


class _Writable:
    """An array's memory, said to be writable: torch warns of what is not, and we never write.

    To silence that warning would change the filters of all threads.
    """

    def __init__(self, array: NDArray) -> None:  # type: ignore[type-arg]
        self.array = array
        about = array.__array_interface__
        self.__array_interface__ = {**about, "data": (about["data"][0], False)}


def as_tensor(array: NDArray) -> Tensor:  # type: ignore[type-arg]
    """The array's memory as a tensor. torch warns about read-only arrays; we never write."""
    return torch.from_numpy(array if array.flags.writeable else np.asarray(_Writable(array)))
