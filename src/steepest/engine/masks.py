"""Dropout and stochastic depth by our own masks, so that both engines drop the same numbers.

The mask of a step's minibatch comes from the words of (seed, purpose, step, stream). Row m of a
layer of width n uses the words from m n' on, n' being n rounded up to a multiple of 4; a number is
kept if its word is at least p 2^32. Dropout2d drops channels of images, as many numbers as a row of
it has. The stream is the layer's place among its kind in the model,
plus 2^8 for each time that it was used before in the same forward pass.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from steepest.nn import Residual
from steepest.random import Purpose, words

# Those whose own forward is not run while it trains, in place or not.
DROPPING = (nn.Dropout, nn.Dropout2d)
_PURPOSES: dict[type[nn.Module], Purpose] = {
    nn.Dropout: Purpose.DROPOUT,
    nn.Dropout2d: Purpose.CHANNEL_DROPOUT,
    Residual: Purpose.STOCHASTIC_DEPTH,
}


def draws_masks(module: nn.Module) -> bool:
    """Whether the module itself does, whatever is in it."""
    return type(module) in _PURPOSES


def streams(model: nn.Module) -> dict[int, int]:
    """The stream of each module that draws masks, by its id()."""
    seen: Counter[type[nn.Module]] = Counter()
    found = {}
    for module in model.modules():
        if draws_masks(module):
            found[id(module)] = seen[type(module)]
            seen[type(module)] += 1
    return found


def threshold(probability: float) -> int:
    """A word below this means that its number is dropped."""
    return int(probability * 2**32)


class Masks:
    """Makes a model's Dropout, Dropout2d and Residual modules use the masks of `step`."""

    def __init__(self, model: nn.Module, seed: int) -> None:
        self._model = model
        self._seed = seed
        self._streams = streams(model)
        self._used: Counter[int] = Counter()
        self._step, self._factor = 0, 1.0
        self._part: range | None = None

    def __bool__(self) -> bool:
        return bool(self._streams)

    def begin(self, step: int, dropout_factor: float = 1.0, part: range | None = None) -> None:
        """The forward pass to come is that of this step (again, if it was so before).

        Args:
            step: Its number.
            dropout_factor: Of the shares that are dropped.
            part: The places in the minibatch of the rows to come; None for all of it.
        """
        self._step, self._factor, self._part = step, dropout_factor, part
        self._used.clear()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within the block the modules draw from these masks; afterwards they are as before."""
        changed: list[tuple[nn.Module, str]] = []
        for module in self._model.modules():
            own = "forward" in vars(module)
            if isinstance(module, DROPPING) and type(module) in DROPPING and not own:
                module.forward = partial(self._dropout, module)  # type: ignore[method-assign]
                changed.append((module, "forward"))
            elif type(module) is Residual and "row_scales" not in vars(module):
                module.row_scales = partial(self._row_scales, module)  # type: ignore[method-assign]
                changed.append((module, "row_scales"))
        try:
            yield
        finally:
            for module, name in changed:
                delattr(module, name)

    def _dropout(self, module: nn.Dropout | nn.Dropout2d, x: Tensor) -> Tensor:
        p = module.p * self._factor
        if not module.training or p == 0:
            return x
        of_channels = type(module) is nn.Dropout2d
        if of_channels and x.ndim != 4:  # what torch makes of it, which is no channel of an image
            return torch.nn.functional.dropout2d(x, p)
        if p == 1:
            return x * 0.0
        width = (x.shape[1] if of_channels else x[0].numel()) if len(x) else 0
        padded = -(-width // 4) * 4
        kept = self._kept(module, p, len(x) * padded).reshape(len(x), padded)
        mask = kept[:, :width].to(x.device, x.dtype) * (1 / (1 - p))
        return x * (mask[:, :, None, None] if of_channels else mask.reshape(x.shape))

    def _row_scales(self, module: Residual, y: Tensor) -> Tensor:
        p = module.stochastic_depth
        return self._kept(module, p, len(y)).to(y.device, y.dtype) * (1 / (1 - p))

    def _kept(self, module: nn.Module, probability: float, count: int) -> Tensor:
        stream = self._streams[id(module)] + 256 * self._used[id(module)]
        self._used[id(module)] += 1
        purpose = _PURPOSES[type(module)]
        first = 0
        if self._part and count % len(self._part) == 0:  # else it is no number of each row
            first = self._part.start * (count // len(self._part))
        drawn = words(self._seed, purpose, self._step, count, first=first, stream=stream)
        return torch.from_numpy(drawn >= threshold(probability))
