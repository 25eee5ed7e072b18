"""Layers of images as the native engine sees them: their geometry, or what is in the way."""

import math
from collections.abc import Iterator
from typing import Any

from torch import nn

from steepest.engine.nodes import Dims, Node, Obstacle, Reader, spec_of
from steepest.extension import extension

# A block of images is addressed by 32-bit numbers, and has up to 16 of them side by side.
_MOST_NUMBERS = 2**31 // 16 // 2
_NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)
_PADS = {
    nn.ZeroPad2d: "zeros",
    nn.ReflectionPad2d: "reflect",
    nn.ReplicationPad2d: "replicate",
    nn.CircularPad2d: "circular",
}
OF_IMAGES = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, *_NORMS, *_PADS)
Margins = list[tuple[int, int]]  # before and behind, of rows and of columns


class ImageReader(Reader):
    """The part of the reader that knows layers of images, which lie in blocks in the engine."""

    def read(self, module: nn.Module, name: str) -> Iterator[Node]:
        """The nodes of a module, which change the shape of what flows."""
        raise NotImplementedError

    def _lie_as_images(self, images: bool) -> Iterator[Node]:
        """What flows as blocks of images, or as rows."""
        if images == self._as_images:
            return
        self._as_images = images
        dims = self._dims
        geometry = extension().Geometry(from_=dims, to=dims)
        yield Node(
            "", spec_of(self._kinds.TO_IMAGES if images else self._kinds.TO_ROWS, geometry=geometry)
        )

    def _image_layer(self, module: nn.Module, name: str, where: str) -> Iterator[Node]:
        if isinstance(module, nn.GroupNorm):
            yield from self._group_norm(module, module.num_groups, module.num_channels, name, where)
            return
        image_of(self._dims, where)
        yield from self._lie_as_images(True)
        if isinstance(module, nn.BatchNorm2d):
            yield self._batch_norm(module, name, where, self._dims[0])
            return
        if isinstance(module, nn.InstanceNorm2d):
            if module.running_mean is not None:
                raise Obstacle(f"{where} keeps running statistics")
            channels = module.num_features
            yield from self._group_norm(module, channels, channels, name, where)
            return
        if isinstance(module, nn.Conv2d):
            yield from self._convolution(module, name, where)
            return
        if (mode := _PADS.get(type(module))) is not None:
            left, right, top, bottom = module.padding  # type: ignore[misc]
            yield self._pad(mode, [(top, bottom), (left, right)], name, where)
            return
        geometry, self._dims = pool_of(module, self._dims, where)
        largest = isinstance(module, nn.MaxPool2d)
        kind = self._kinds.MAX_POOL if largest else self._kinds.MEAN_POOL
        yield Node(name, spec_of(kind, geometry=geometry))

    def _convolution(self, module: nn.Conv2d, name: str, where: str) -> Iterator[Node]:
        tensors = self._tensors(module, name, ("weight", "bias"), where)
        margins, spans = margins_of(module), spans_of(module)
        wide = any(max(margin) > span for margin, span in zip(margins, spans, strict=True))
        if module.padding_mode != "zeros" or wide:
            yield self._pad(module.padding_mode, margins, name, where)
            margins = [(0, 0), (0, 0)]
        geometry, self._dims = convolution_of(module, self._dims, margins, where)
        learned = module.bias is not None
        spec = spec_of(self._kinds.CONVOLUTION, geometry=geometry, learned=learned)
        yield Node(name, spec, tensors, pixels=math.prod(self._dims[1:]))

    def _pad(self, mode: str, margins: Margins, name: str, where: str) -> Node:
        dims = self._dims
        sources = [
            padded(mode, side, *margin, where)
            for side, margin in zip(dims[1:], margins, strict=True)
        ]
        self._dims = _checked((dims[0], *map(len, sources)), where)
        windows = [number for source in sources for number in source]
        geometry = extension().Geometry(from_=dims, to=self._dims, windows=windows)
        return Node(name, spec_of(self._kinds.PAD, geometry=geometry))

    def _group_norm(
        self, module: nn.Module, groups: int, channels: int, name: str, where: str
    ) -> Iterator[Node]:
        """Of images, or of other rows as images of one column."""
        dims = self._dims
        if channels != dims[0]:
            raise Obstacle(f"{where} takes {channels} channels, but a row has {dims[0]} there")
        if math.prod(dims) == groups:
            raise Obstacle(f"{where} normalises one number by itself, of which nothing is left")
        learned = self._tensors(module, name, ("weight", "bias"), where)
        if len(learned) == 1:
            raise Obstacle(f"{where} has a weight and no bias")
        image = dims if len(dims) == 3 else (channels, self._width // channels, 1)
        self._dims = image
        yield from self._lie_as_images(True)
        geometry = extension().Geometry(from_=image, to=image, groups=groups)
        eps = float(module.eps)  # type: ignore[arg-type]
        spec = spec_of(self._kinds.GROUP_NORM, geometry=geometry, eps=eps, learned=bool(learned))
        yield Node(name, spec, learned)
        yield from self._lie_as_images(len(dims) == 3)
        self._dims = dims

    def _unflatten(self, module: nn.Unflatten, _: str, where: str) -> Iterator[Node]:
        sizes = module.unflattened_size
        if module.dim != 1 or not all(isinstance(n, int) for n in sizes):
            raise Obstacle(f"{where} unflattens another dimension than 1, or a named one")
        dims, given = self._dims, tuple(sizes)
        if -1 in given:
            known = -math.prod(given)
            given = tuple(dims[0] // known if n == -1 else n for n in given)
        if self._as_images or math.prod(given) != dims[0]:
            raise Obstacle(f"{where} does not fit rows of shape {dims}")
        self._dims = (*given, *dims[1:])
        yield from ()


def image_of(dims: Dims, where: str) -> tuple[int, int, int]:
    """(channels, height, width) of a row.

    Raises:
        Obstacle: If it is no image.
    """
    if len(dims) != 3:
        raise Obstacle(f"{where} takes images (C, H, W), but a row has shape {dims} there")
    return dims


def spans_of(module: nn.Conv2d) -> list[int]:
    """How far the first and the last number of a window are apart."""
    return [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]


def margins_of(module: nn.Conv2d) -> Margins:
    """What a Conv2d pads its images with."""
    if module.padding == "same":  # torch puts the odd pixel behind
        return [(span // 2, span - span // 2) for span in spans_of(module)]
    padding = (0, 0) if module.padding == "valid" else _pair(module.padding)
    return [(n, n) for n in padding]


def padded(mode: str, side: int, before: int, behind: int, where: str) -> list[int]:
    """Which line of the images each line with their margins is, or -1 for zeros.

    A margin below 0 takes lines away.
    """
    most = {"reflect": side - 1, "circular": side}.get(mode)
    if most is not None and max(before, behind) > most:
        raise Obstacle(f"{where} pads sides of {side} by {max(before, behind)} ({mode})")
    places = range(-before, side + behind)
    if mode == "zeros":
        return [i if 0 <= i < side else -1 for i in places]
    if mode == "reflect":
        return [side - 1 - abs(side - 1 - abs(i)) for i in places]
    if mode == "replicate":
        return [min(max(i, 0), side - 1) for i in places]
    return [i % side for i in places]


def convolution_of(module: nn.Conv2d, dims: Dims, margins: Margins, where: str) -> tuple[Any, Dims]:
    """The geometry of a Conv2d for rows of this shape, and the shape that it gives.

    margins: Of zeros.
    """
    channels, *sides = image_of(dims, where)
    if channels != module.in_channels:
        raise Obstacle(f"{where} takes {module.in_channels} channels, but a row has {channels}")
    window, spread = _pair(module.kernel_size), _pair(module.dilation)
    steps = _pair(module.stride)
    out = [
        (side + sum(margin) - span - 1) // step + 1
        for side, margin, span, step in zip(sides, margins, spans_of(module), steps, strict=True)
    ]
    to = _checked((module.out_channels, *out), where)
    geometry = extension().Geometry(
        from_=(channels, *sides),
        to=to,
        window=window,
        steps=steps,
        spread=spread,
        padding=tuple(before for before, _ in margins),
        groups=module.groups,
    )
    return geometry, to


def pool_of(module: nn.Module, dims: Dims, where: str) -> tuple[Any, Dims]:
    """The same of MaxPool2d, AvgPool2d and AdaptiveAvgPool2d."""
    channels, *sides = image_of(dims, where)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        asked = module.output_size
        pair = asked if isinstance(asked, tuple) else (asked, asked)
        out = [side if n is None else int(n) for n, side in zip(pair, sides, strict=True)]
        windows = [
            [(i * side // n, -(-(i + 1) * side // n)) for i in range(n)]
            for n, side in zip(out, sides, strict=True)
        ]
        divisor = 0
    else:
        windows, divisor = _sliding(module, sides, where)
    to = _checked((channels, *map(len, windows)), where)
    geometry = extension().Geometry(
        from_=(channels, *sides),
        to=to,
        divisor=divisor,
        windows=[edge for side in windows for window in side for edge in window],
    )
    return geometry, to


def _sliding(
    module: nn.Module, sides: list[int], where: str
) -> tuple[list[list[tuple[int, int]]], int]:
    """The windows of each side, cut where the images end, and by what their sums are divided."""
    assert isinstance(module, (nn.MaxPool2d, nn.AvgPool2d))
    window, padding = _pair(module.kernel_size), _pair(module.padding)
    steps = _pair(module.stride)
    divisor = 0
    if isinstance(module, nn.MaxPool2d):
        if _pair(module.dilation) != (1, 1) or module.return_indices:
            raise Obstacle(f"{where} has a dilation or returns indices")
    elif module.divisor_override:
        divisor = module.divisor_override
    elif module.count_include_pad:
        divisor = math.prod(window)
    windows = []
    for side, k, step, pad in zip(sides, window, steps, padding, strict=True):
        count = (side + 2 * pad - k) // step + 1
        # With ceil_mode one that reaches over the end counts, unless it would begin in the padding.
        if module.ceil_mode and (side + 2 * pad - k) % step and count * step < side + pad:
            count += 1
            if divisor and not isinstance(module, nn.MaxPool2d) and not module.divisor_override:
                raise Obstacle(
                    f"{where} has windows that count padding and reach over it (ceil_mode)"
                )
        starts = [i * step - pad for i in range(count)]
        windows.append([(max(0, s), min(side, s + k)) for s in starts])
    return windows, divisor


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def _checked(to: tuple[int, ...], where: str) -> Dims:
    if min(to) < 1:
        raise Obstacle(f"{where} gives images of shape {to}")
    if math.prod(to) > _MOST_NUMBERS:
        raise Obstacle(f"{where} gives images of {math.prod(to)} numbers, too many for it")
    return to
