"""The images, read into memory before the clock starts."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

import steepest as sp
from speedrun.contestants import Images, Labels
from steepest.errors import DataError


class Part(NamedTuple):
    """Images (N, H, W) of bytes and their classes (N,)."""

    images: Images
    labels: Labels


def read(name: str, root: str | None) -> tuple[Part, Part]:
    """The training and the test images of mnist or fashion_mnist.

    Args:
        name: Of the data set.
        root: Torchvision's folder, in which MNIST/raw or FashionMNIST/raw lie; None looks where
            `sp.load_data` does.

    Raises:
        DataError: They are not there.
    """
    data = sp.load_data(name, root=Path(root) if root else None)
    if data.test is None:
        raise DataError(f"{data.train.source} has no test images beside it")
    return _in_memory(data.train), _in_memory(data.test)


def _in_memory(samples: sp.Samples) -> Part:
    images = np.array(samples.inputs)  # a copy, where the file was mapped
    return Part(images.reshape(-1, *images.shape[-2:]), np.array(samples.labels))


def absence(name: str, root: str | None) -> str | None:
    """In a line why the data are not there, None if they are."""
    try:
        read(name, root)
    except DataError as error:
        return str(error)
    return None
