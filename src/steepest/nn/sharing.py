"""Which tensors of a model lie in the same memory, and which modules it uses twice."""

from collections import Counter
from collections.abc import Iterable

from torch import Tensor, nn

from steepest.nn.residual import Residual

# Their masks follow the module and not the place where it is used.
_DRAWING = (nn.Dropout, nn.Dropout2d, Residual)


def shared_memory(tensors: Iterable[tuple[str, Tensor]]) -> tuple[str, str] | None:
    """The names of two tensors whose ranges of addresses overlap; None if all lie apart.

    Identity says nothing: `b.data = a.data`, a transpose or a slice are tensors of their own.
    """
    ranges = sorted(
        (str(t.device), t.data_ptr(), t.data_ptr() + _extent(t) * t.element_size(), (i, name))
        for i, (name, t) in enumerate(tensors)
        if t.numel() and not t.is_meta
    )
    end, last, place = 0, (0, ""), ""
    for device, begin, stop, numbered in ranges:
        if device == place and begin < end:
            (_, first), (_, second) = sorted((last, numbered))
            return first, second
        if device != place or stop > end:
            end, last, place = stop, numbered, device
    return None


def overlaps_itself(tensor: Tensor) -> bool:
    """Whether two elements of a tensor may lie at one address, as those of an expanded one do."""
    span = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride < span:
            return True
        span += stride * (size - 1)
    return False


def shares_parts(module: nn.Module) -> bool:
    """Whether a part with a state or masks is used twice, or parameters or buffers share memory.

    What `describe` says of such a module gives, when it is built, two parts for one.
    """
    uses = Counter(
        part
        for _, part in module.named_modules(remove_duplicate=False)
        if isinstance(part, _DRAWING) or part._parameters or part._buffers
    )
    own = (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    )
    return max(uses.values(), default=0) > 1 or shared_memory(own) is not None


def _extent(tensor: Tensor) -> int:
    """Elements from the first to the last one in memory."""
    return 1 + sum(s * (n - 1) for s, n in zip(tensor.stride(), tensor.shape, strict=True))
