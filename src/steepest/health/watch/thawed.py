"""Parameters that were frozen when the watch began, and that nobody told the optimizer of since."""

from collections.abc import Iterator
from typing import Any

from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import make_finding
from steepest.health.replay.replay import Setup


class Thawed:
    """Looks at what was frozen: what gets gradients and is never written to is in no optimizer.

    A tensor's version counts what was written to it, so nothing is copied.
    """

    def __init__(self, setup: Setup) -> None:
        self._optimizers: tuple[Any, ...] = setup.optimizers
        named = setup.model.named_parameters() if setup.optimizers else ()
        self._frozen: list[tuple[str, Any]] = [
            (name, p) for name, p in named if not p.requires_grad
        ]
        self._versions: dict[str, int] = {}  # at the look before, of what got gradients then

    def look(self, step: int) -> Iterator[Finding]:
        """After this optimizer step."""
        moving = [(name, p) for name, p in self._frozen if p.requires_grad and p.grad is not None]
        if not moving:
            return
        held = {id(p) for o in self._optimizers for g in o.param_groups for p in g["params"]}
        left = {name: p._version for name, p in moving if id(p) not in held}
        stuck = [name for name, version in left.items() if self._versions.get(name) == version]
        self._versions = left
        if not stuck:
            return
        shown = ", ".join(stuck[:3]) + (f" and {len(stuck) - 3} more" if len(stuck) > 3 else "")
        yield make_finding(
            "PARAMS_NOT_IN_OPTIMISER",
            f"{shown} get gradients since they were thawed, and the optimizer does not hold them",
            'optimizer.add_param_group({"params": [...]})  # where requires_grad is set to True',
            (Evidence(f"{len(stuck)} thawed tensors that no step changes", "0"),),
            ruled_out=("frozen on purpose: they have requires_grad=True now",),
            step=step,
            severity="warn",
        )
