"""How much arithmetic a forward pass is, estimated from the weights and the outputs' shapes."""

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


class FlopCounter:
    """`with FlopCounter(model) as counter: model(batch)`, then `counter.flops(rows)`.

    A module whose weight has two dimensions or more multiplies all of it once for each position of
    its outputs: once a row in a linear layer, once a pixel in a convolution, once a token where a
    layer is applied to each. Every other parameter counts once a row. Embeddings look up and
    multiply nothing. (torch.utils.flop_counter counts each operation, and takes seconds to start.)
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._weighted = {m for m in model.modules() if _multiplies(m)}
        self._handles: list[RemovableHandle] = []
        self._counted = 0.0

    def __enter__(self) -> Self:
        self._handles = [m.register_forward_hook(self._count) for m in self._weighted]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def flops(self, rows: int) -> float:
        """Floating-point operations for one row, two for each multiply-add; at least 1."""
        plain = sum(
            parameter.numel()
            for module in self._model.modules()
            if module not in self._weighted and not isinstance(module, _LOOK_UPS)
            for parameter in module.parameters(recurse=False)
        )
        return max(1.0, 2.0 * (self._counted / rows + plain))

    def _count(self, module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            weight: Tensor = module.weight  # type: ignore[assignment]
            self._counted += math.prod(weight.shape[1:]) * output.numel()


_LOOK_UPS = (nn.Embedding, nn.EmbeddingBag)


def _multiplies(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return (
        isinstance(weight, nn.Parameter) and weight.ndim >= 2 and not isinstance(module, _LOOK_UPS)
    )
