"""Rows of a data set as the tensors that a model takes: gathered, cast and scaled."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steepest.data import Inputs


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
        if self._scaled:
            if self._centred:
                batch.sub_(self._offset)
            batch.mul_(self._factor)
            if self._shift:
                batch.add_(self._shift)
        return batch


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
