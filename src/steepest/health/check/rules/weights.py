"""Weights and buffers that are no numbers before the first step."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.context import CheckContext
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, Phase, make_finding, rule
from steepest.health.replay.replay import first_tensor

_SHOWN = 4


@dataclass(frozen=True)
class Broken:
    """A tensor of the model with values that are NaN or infinite.

    certain: no model can mean them. Infinities are meant in a mask, say, and NaN in a buffer may
    stand for what is not known yet: these are judged by the outputs.
    """

    name: str
    owner: nn.Module
    nans: int
    infinities: int
    size: int
    index: tuple[int, ...]
    is_parameter: bool

    @property
    def of_norm(self) -> bool:
        """Running statistics of a normalisation layer."""
        return not self.is_parameter and isinstance(self.owner, nn.modules.batchnorm._NormBase)

    @property
    def certain(self) -> bool:
        return self.of_norm or (self.is_parameter and self.nans > 0)

    @property
    def evidence(self) -> Evidence:
        counts = ((self.nans, "NaN"), (self.infinities, "infinite"))
        measured = " and ".join(f"{count} {what}" for count, what in counts if count)
        where = f"first {self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name
        return Evidence(f"{measured} of {self.size} values", "all finite", where)

    @property
    def fix(self) -> str:
        if self.of_norm:
            return f"model.get_submodule({self.name.rpartition('.')[0]!r}).reset_running_stats()"
        if self.is_parameter and len(self.index) > 1:
            return f"nn.init.kaiming_normal_(model.get_parameter({self.name!r}))"
        return f"model.get_{'parameter' if self.is_parameter else 'buffer'}({self.name!r}).zero_()"


@rule(
    "NONFINITE_WEIGHTS",
    "NaN or infinity in the weights",
    Phase.MODEL,
    rank="model",
    place=10,
    severity="error",
    explains=EVERYTHING | {"FORWARD_FAILS", "LOSS_FAILS"},
)
def nonfinite_weights(context: CheckContext) -> Iterator[Finding]:
    """NaN or infinity among the parameters or in a buffer."""
    suspects = list(broken(context.setup.model))
    certain = [one for one in suspects if one.certain]
    if not certain and suspects and _reach_the_outputs(context) is not False:
        certain = suspects
    if not certain:
        return
    names = ", ".join(one.name for one in certain[:_SHOWN])
    more = f" and {len(certain) - _SHOWN} more" if len(certain) > _SHOWN else ""
    first = certain[0]
    effect = "every loss is NaN" if first.is_parameter else "outputs in eval mode are NaN"
    yield make_finding(
        "NONFINITE_WEIGHTS",
        f"{names}{more} {'holds' if len(certain) == 1 else 'hold'} NaN or infinity before the "
        f"first step: {effect}, and no step mends it",
        f"{first.fix}  # or load weights that are finite",
        tuple(one.evidence for one in certain[:_SHOWN]),
        ruled_out=("a learning rate that is too high: no step has been taken",),
    )


def broken(model: nn.Module) -> Iterator[Broken]:
    """Parameters first, each tensor once."""
    for tensors, is_parameter in ((model.named_parameters(), True), (model.named_buffers(), False)):
        for name, tensor in tensors:
            if not _readable(tensor):
                continue
            values = tensor.detach()
            values = values.float() if values.element_size() == 1 else values
            if bool(values.isfinite().all()):
                continue
            nans, wrong = int(values.isnan().sum()), ~values.isfinite()
            index = tuple(wrong.nonzero()[0].tolist())
            owner = model.get_submodule(name.rpartition(".")[0])
            infinities = int(wrong.sum()) - nans
            yield Broken(name, owner, nans, infinities, values.numel(), index, is_parameter)


def _readable(tensor: Tensor) -> bool:
    lazy = isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer))
    if lazy or tensor.is_meta or tensor.layout != torch.strided:
        return False
    return tensor.is_floating_point() or tensor.is_complex()


def _reach_the_outputs(context: CheckContext) -> bool | None:
    """Whether finite rows get outputs that are not finite; None if there are no such rows."""
    inputs = [t for t in (*context.probe.args, *context.probe.kwargs.values()) if _is_floating(t)]
    if not context.batches or not all(bool(t.isfinite().all()) for t in inputs):
        return None
    clone = context.setup.copy()
    if clone is None:
        return None
    seed_generators(0)
    with torch.no_grad():
        z = first_tensor(clone.outputs(context.probe))
    return None if z is None else not bool(z.isfinite().all())


def _is_floating(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
