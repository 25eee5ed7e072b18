"""Which of two faults comes first. Written down from reasoning before any rule was asked.

    blocks("params", "rate")  # True: as long as no step moves the model, no rate can be judged

a blocks b if, as long as a is there,
- b cannot be seen, or nothing that anybody looks at (losses, figures of the validation) gets better
  when b alone is mended; or
- what is right in b's place depends on a, so that it would have to be mended twice.

Where neither blocks the other, either may be named first.
"""

# Faults of the loop come before all others: whatever is mended elsewhere passes through the steps.
_LOOP = frozenset({"params", "order", "clear", "sign"})
_OTHERS = frozenset({"softmax", "rate", "labels", "scale", "mode", "init", "linear", "sorted"})

_BLOCKS: dict[str, frozenset[str]] = {
    # The optimizer holds another model: no step moves this one, and none of its gradients is what
    # the optimizer takes, whether they are cleared, late or turned round.
    "params": _OTHERS | _LOOP,
    # Gradients that are never cleared are there at a step that comes too early as well: that it
    # does shows only once they are cleared. With its sign it is the same sum either way: both harm.
    "clear": _OTHERS | {"order"},
    # Steps without gradients go neither down nor up.
    "order": _OTHERS | {"sign"},
    # Uphill, whatever else is mended.
    "sign": _OTHERS,
    # Minibatches of one class: each answers that class, and forgets the last, with whatever labels,
    # inputs, layers and loss; the validation stays at chance in either mode.
    "sorted": frozenset({"softmax", "labels", "scale", "mode", "init", "linear", "rate"}),
    # The rate that is right depends on the loss, the scale of inputs and weights, and the layers.
    "softmax": frozenset({"rate"}),
    "scale": frozenset({"rate"}),
    "init": frozenset({"rate"}),
    "linear": frozenset({"rate"}),
    # A loss that runs away looks the same with any labels, and the validation in either mode.
    "rate": frozenset({"labels", "mode"}),
    # With labels at random the validation is at chance in either mode.
    "labels": frozenset({"mode"}),
    "mode": frozenset(),
}


def blocks(a: str, b: str) -> bool:
    """Whether a has to be mended before b."""
    return b in _BLOCKS[a]


def first_of(names: frozenset[str] | set[str]) -> set[str]:
    """Those that no other of them blocks: one of them has to be named first."""
    return {b for b in names if not any(blocks(a, b) for a in names if a != b)}
