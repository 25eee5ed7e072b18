"""What reaches what: inputs the outputs, rows each other, activations the layers between."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.autograd_graph import head_name
from steepest.health.check.context import CheckContext
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, Phase, make_finding, rule
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup, first_tensor

_AFFINE = 1e-6  # departure from an affine function in float64, beside what the function varies by
_AFFINE_ROWS = 8
_ROUNDINGS = 4  # of the largest output: what may differ in sums of the same numbers
_MIXES = 1e-4  # change of the other rows' outputs, in deviations of the outputs


@rule(
    "NO_NONLINEARITY",
    "layers without activation between them",
    Phase.PROBE,
    rank="model",
    place=100,
    severity="warn",
)
def no_nonlinearity(context: CheckContext) -> Iterator[Finding]:
    """Whether the logits are an affine function of the input although there are several layers."""
    assert context.first is not None
    x = context.probe.x
    matrices = [
        n for n, g in context.first.grads.items() if g is not None and _is_matrix(context, n)
    ]
    if (
        x is None
        or not x.is_floating_point()
        or len(matrices) < 2
        or context.probe.rows < _AFFINE_ROWS
    ):
        return
    if not context.affords(1, 2 * _AFFINE_ROWS):
        context.leave_out("NO_NONLINEARITY")
        return
    # Far out as well: rows near 0 may all lie on one linear piece of a rectifier.
    rms = float(x.double().square().mean().sqrt())
    scales = (1.0, 10 / rms) if 0 < rms < 10 else (1.0,)
    inputs = [x * scale for scale in scales]
    if _is_bent(context, inputs):
        return
    # After some steps: a residual branch that starts at 0 hides its activations until then.
    defects = (_affine_defect(context, context.after_some_steps, x) for x in inputs)
    defect = max((d for d in defects if d is not None), default=None)
    if defect is None or defect > _AFFINE:
        return
    yield make_finding(
        "NO_NONLINEARITY",
        f"{len(matrices)} layers without an activation between them: together they are one linear "
        "layer",
        "nn.ReLU() after each hidden layer",
        (Evidence(f"departure from an affine function {defect:.1g}", "above 1e-6", "float64"),),
        ruled_out=(f"logistic regression: {len(matrices)} weight matrices are in use",),
    )


def _is_matrix(context: CheckContext, name: str) -> bool:
    return context.setup.model.get_parameter(name).ndim >= 2


def _is_bent(context: CheckContext, inputs: list[Tensor]) -> bool:
    """Whether the outputs are no affine function, as the model is."""
    return any((_affine_defect(context, context.setup, x) or 0.0) > _AFFINE for x in inputs)


def _affine_defect(context: CheckContext, setup: Setup | None, x: Tensor) -> float | None:
    """|f(ax + by) - a f(x) - b f(y) - (1-a-b) f(0)| beside what f varies by.

    None if it is constant, not finite, as the log of a probability that rounds to 0, or not to be
    had in float64, where its forward makes states of its own.
    """
    clone = setup.copy() if setup else None
    if clone is None:
        return None
    model = clone.model.double().eval()
    if context.unregistered:
        return None  # layers in a list are not made float64 with the others
    half = _AFFINE_ROWS // 2
    u, v = x[:half].double(), x[half:_AFFINE_ROWS].double()
    batch = context.probe.take(slice(0, half)).double()
    head = head_name(context.first.logits) if context.first else ""

    def f(inputs: Tensor) -> Tensor:
        z = first_tensor(Setup(model, clone.loss_fn).outputs(batch.with_x(inputs)))
        assert z is not None
        if head in ("Softmax", "Sigmoid"):
            z = z.log() if head == "Softmax" else torch.logit(z)
        if head in ("Softmax", "LogSoftmax") and z.ndim > 1:
            z = z - z.mean(-1, keepdim=True)
        return z

    with torch.no_grad():
        try:
            fu, fv, f0 = f(u), f(v), f(torch.zeros_like(u))
        except RuntimeError as error:
            if "dtype" not in str(error):
                raise
            return None
        mixed = f(0.7 * u + 1.6 * v)
    wide = float((fu - f0).norm() + (fv - f0).norm())
    if not wide > 1e-9 * (1 + float(f0.norm())) or not math.isfinite(wide):
        return None
    defect = float((mixed - 0.7 * fu - 1.6 * fv + 1.3 * f0).norm()) / wide
    return defect if math.isfinite(defect) else None


@rule(
    "BATCH_MIXING",
    "rows of a batch influence each other",
    Phase.PROBE,
    rank="model",
    place=20,
    severity="warn",
    explains={"INPUT_IGNORED", "OVERFIT"},
)
def batch_mixing(context: CheckContext) -> Iterator[Finding]:
    """Whether another first row changes what the other rows get, in eval mode."""
    rows = min(context.probe.rows, 16)
    clone = context.setup.copy()
    if clone is None or rows < 3 or _mixes_by_design(context.setup.model):
        return
    clone.model.eval()
    few = context.probe.take(slice(0, rows))
    order = torch.arange(rows)
    order[0] = rows - 1
    with _Readers(clone.model, rows) as readers:
        a = outputs(clone, few)
        b = outputs(clone, few.take(order))
    if a is None or b is None or a.shape != b.shape or len(a) != rows:
        return
    if (gap := _change_of_others(a, b)) and is_repeated(clone, few, a):
        yield make_finding(
            "BATCH_MIXING",
            "a row's output depends on the other rows of its batch, in eval mode too",
            "look for view or reshape in place of transpose, batch_first=True, softmax over dim 0",
            (Evidence(f"other rows change by {gap:.3g}", "0", "first row replaced"),),
            ruled_out=("batch normalisation: the model was in eval mode",),
        )
    elif mixing := readers.mixing():
        yield make_finding(
            "BATCH_MIXING",
            f"{mixing} takes the rows of the batch for places of a sequence: each row reads the "
            "others",
            "batch_first=True, or inputs of shape (places, rows, features)",
            (Evidence("its other rows change", "they stay", "first row replaced"),),
            ruled_out=("batch normalisation: the model was in eval mode",),
        )


class _Readers:
    """What the sequence layers that want (places, rows, features) were given, and what they gave.

    Two passes over the same rows, the first of which is another one the second time.
    """

    def __init__(self, model: nn.Module, rows: int) -> None:
        self.rows = rows
        self.layers = {
            name: m for name, m in model.named_modules() if getattr(m, "batch_first", True) is False
        }
        self.seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in self.layers}
        self.handles: list[Any] = []

    def __enter__(self) -> "_Readers":
        for name, layer in self.layers.items():
            self.handles.append(layer.register_forward_hook(partial(self._note, name)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _note(self, name: str, _: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        into, out = first_tensor(args), first_tensor(output)
        if into is not None and out is not None:
            self.seen[name].append((into.detach().clone(), out.detach().clone()))

    def mixing(self) -> str:
        """The layer whose other rows change although theirs went in as before; "" for none."""
        for name, seen in self.seen.items():
            if len(seen) != 2:
                continue
            (x, out), (x2, out2) = seen
            if len(x) != self.rows or x.shape != x2.shape or len(out) != self.rows:
                continue
            same = torch.equal(x[1:], x2[1:]) and not torch.equal(x, x2)
            if same and _change_of_others(out, out2):
                return repr(name)
        return ""


def _change_of_others(a: Tensor, b: Tensor) -> float:
    """By how much the rows but the first differ, (N, ...) each; 0 where that may be rounding."""
    return beyond_rounding(a[1:] - b[1:], a)


def beyond_rounding(change: Tensor, among: Tensor) -> float:
    """The largest change; 0 where it may be rounding, as small as it is beside these outputs."""
    gap = float(change.abs().max())
    return gap if gap > _MIXES * max(1e-3, float(among.detach().std())) else 0.0


def is_repeated(clone: Setup, few: Batch, a: Tensor) -> bool:
    """Whether the same rows give these outputs again: what differs is not random."""
    again = outputs(clone, few)
    return again is not None and torch.equal(a, again)


def _mixes_by_design(model: nn.Module) -> bool:
    norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._NormBase))
    return any(norm.running_mean is None for norm in norms)


@rule(
    "INPUT_IGNORED",
    "the outputs do not depend on the input",
    Phase.PROBE,
    rank="model",
    place=90,
    severity="warn",
    explains=EVERYTHING | {"NO_NONLINEARITY"},
)
def input_ignored(context: CheckContext) -> Iterator[Finding]:
    """Inputs, or columns of a table, whose exchange between rows changes no output."""
    x = context.probe.x
    if x is None or context.probe.rows < 8:
        return
    some = context.probe.take(slice(0, min(64, context.probe.rows)))
    assert some.x is not None
    varied = (some.x != some.x[0]).flatten(1).any(0)
    if not bool(varied.any()) or _reaches_the_outputs(context.setup.copy(), some, varied):
        return
    clone = context.after_some_steps.copy() if context.after_some_steps else None
    z = outputs(clone.eval(), some) if clone else None
    if clone is None or z is None:
        return
    rolled = outputs(clone, _rolled(some))
    if rolled is not None and _is_same(z, rolled, some.x):
        yield make_finding(
            "INPUT_IGNORED",
            "the outputs are the same whatever the input is",
            "look for a product with 0, a wrong slice, dead layers at the start of forward, an "
            "inverted mask, or a state that is read after much padding",
            (Evidence("0 outputs change if rows are exchanged", "all"),),
            ruled_out=("a zero-initialised last layer: it was tried after some steps of Adam",),
        )
    elif x.ndim == 2 and x.is_floating_point() and x.shape[1] <= 512:
        yield from _ignored_columns(clone, some, z, varied)


def _reaches_the_outputs(setup: Setup | None, some: Batch, varied: Tensor) -> bool:
    """Whether each input that varies moves the outputs as the model is, before any step.

    Of words and other integers, which have no gradient: whether any does.
    """
    if setup is None or some.x is None:
        return False
    setup.eval()
    if some.x.is_floating_point():
        still = _without_gradient(setup, some)
        return still is not None and not bool((still & varied).any())
    z, rolled = outputs(setup, some), outputs(setup, _rolled(some))
    return z is not None and rolled is not None and not _is_same(z, rolled, some.x)


def _is_same(z: Tensor, rolled: Tensor, x: Tensor) -> bool:
    """Whether the outputs are the same: to rounding, of integers, which have no gradient."""
    if x.is_floating_point() or not z.is_floating_point() or z.shape != rolled.shape:
        return torch.equal(z, rolled)
    rounding = _ROUNDINGS * torch.finfo(z.dtype).eps * float(z.abs().max())
    return float((z - rolled).abs().max()) <= rounding


def _without_gradient(setup: Setup, some: Batch) -> Tensor | None:
    """Whether each input (d,) has no gradient in any row; None if that cannot be told."""
    assert some.x is not None
    x = some.x.detach().clone()
    if not x.is_floating_point():
        return None
    out = first_tensor(setup.outputs(some.with_x(x.requires_grad_())))
    if out is None or not out.requires_grad:
        return None
    (grad,) = torch.autograd.grad(out.square().sum(), [x], allow_unused=True)
    return None if grad is None else (grad == 0).flatten(1).all(0)


def _rolled(batch: Batch) -> Batch:
    order = torch.arange(batch.rows).roll(1)
    return Batch(batch.take(order).args, batch.target, batch.take(order).kwargs)


def outputs(setup: Setup, batch: Batch) -> Tensor | None:
    """The first tensor that the model gives for a batch, by the same random numbers each time."""
    with torch.no_grad():
        seed_generators(0)
        return first_tensor(setup.outputs(batch))


def _ignored_columns(clone: Setup, some: Batch, z: Tensor, varied: Tensor) -> Iterator[Finding]:
    assert some.x is not None
    quiet = _without_gradient(clone, some)
    if quiet is None or not bool((still := quiet & varied).any()):
        return
    exchanged = torch.where(still, some.x.roll(1, 0), some.x)
    other = outputs(clone, some.with_x(exchanged))
    if other is None or not torch.equal(z, other):
        return
    columns = still.nonzero()[:, 0].tolist()
    shown = ", ".join(map(str, columns[:8])) + (" ..." if len(columns) > 8 else "")
    yield make_finding(
        "INPUT_IGNORED",
        f"{len(columns)} of {some.x.shape[1]} columns have no influence on the outputs: {shown}",
        "look for a wrong slice at the start of forward; leave the columns out if that is meant",
        (Evidence("0 outputs change if these columns are exchanged", "all", f"columns {shown}"),),
        ruled_out=("constant columns: these vary",),
    )
