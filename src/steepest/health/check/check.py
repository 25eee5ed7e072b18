"""check(): look at a training before its first step, on anyone's own PyTorch objects."""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.own_steps import no_own_steps
from steepest.health.check.probes import MEMORISED, CheckContext, class_indices, run_pass
from steepest.health.check.rules import (
    BEFORE_FORWARD,
    EXPERIMENTS,
    FACTS,
    OF_THE_DATA,
    OF_THE_MODEL,
    OF_THE_OPTIMIZER,
    PROBES,
    Rule,
)
from steepest.health.clock import Clock
from steepest.health.findings.finding import Evidence, Finding, Findings
from steepest.health.findings.ranking import ranked
from steepest.health.foreign import is_foreign, swallow
from steepest.health.replay.batches import Batch, Form, Part, forms, read
from steepest.health.replay.replay import Setup, first_tensor
from steepest.health.replay.untouched import untouched

_BATCHES, _ROWS = 64, 256
_NAMED = 4  # of what there was no time for
_WORTH_SHARING = 1_000_000  # weights


def check(
    model: nn.Module,
    loss_fn: Callable[..., Any],
    optimizer: Any = None,
    train_loader: Any = None,
    val_loader: Any = None,
    *,
    seconds: float = 2.0,
) -> Findings:
    """Find what is wrong with a training before its first step: the cause first, with its fix.

    model: any nn.Module. loss_fn: a criterion or any function of (outputs, targets). optimizer: a
    torch optimizer, several in a list, or None. train_loader, val_loader: a DataLoader or any
    iterable of batches, (inputs, targets), (input, ..., targets) or a dict with "labels"; what can
    be read only once is left alone. seconds: at most this long on the processor (by the clock where
    a graphics card works), facts first, then experiments: other work on the machine makes it
    slower and changes no verdict. What there was no time for is one line at the end.

    Leaves no trace: parameters, buffers, gradients, flags, optimizer state and random generators
    are bit for bit as before. Never raises because of these objects: what cannot be looked at is
    told in a finding NOT_CHECKED of severity info, and what the user's own forward or loss raises
    on the first batch is a finding of severity error.
    """
    # What torch.compile wraps is the same module, and can be listened to.
    model = getattr(model, "_orig_mod", model)
    setup = Setup(model, loss_fn, _optimizers(optimizer))
    return examine(setup, train_loader, val_loader, seconds)


def examine(
    setup: Setup,
    train_loader: Any,
    val_loader: Any,
    seconds: float,
    *,
    steady: bool = True,
    thorough: bool = True,
    experiments: bool = True,
    of_the_data: bool = True,
) -> Findings:
    """`check` of a setup.

    steady: the optimizer's rates are those of the first steps, and nothing else is done to a
    gradient. thorough: with the tests T2 and T3. experiments: with steps on copies.
    of_the_data: with the comparison of rows with their neighbours.
    """
    clock = _clock(setup.model, seconds)
    with (
        untouched(setup.model, setup.loss_fn, setup.optimizers, train_loader, val_loader),
        warnings.catch_warnings(),
        _one_thread(setup.model),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        warnings.simplefilter("ignore")
        rules = [r for r in EXPERIMENTS if experiments and (steady or r not in OF_THE_OPTIMIZER)]
        probes = (*PROBES, *(OF_THE_DATA if of_the_data else ()))
        try:
            findings, left_out, context = _examine(
                setup, train_loader, val_loader, clock, probes, rules
            )
        except Exception as error:  # the user's code runs in here
            swallow(error)
            findings, left_out, context = [], [f"anything: {type(error).__name__}: {error}"], None
        triage = _triage(context, left_out) if context is not None and thorough else ()
    if context is not None and context.unmeasured:
        left_out.append(_for_want_of_time(context))
    if left_out:
        findings.append(_not_checked(left_out))
    return Findings(ranked(findings), triage)


@contextmanager
def _one_thread(model: nn.Module) -> Iterator[None]:
    """Small nets are quicker on one thread, much so on a busy machine."""
    threads = torch.get_num_threads()
    known = (p for p in model.parameters() if not isinstance(p, nn.UninitializedParameter))
    if sum(p.numel() for p in known) < _WORTH_SHARING:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _clock(model: nn.Module, seconds: float) -> Clock:
    """By the processor's time, by the wall's for a model on another device."""
    if all(p.device.type == "cpu" for p in model.parameters()):
        return Clock(seconds)
    return Clock(seconds, spent=time.perf_counter)


def _for_want_of_time(context: CheckContext) -> str:
    """All that there was no time for, in one line."""
    names = list(dict.fromkeys(context.unmeasured))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"for want of time ({context.clock.seconds:g} s of the processor) "
        f"{', '.join(names[:_NAMED])}{more}"
    )


def _optimizers(optimizer: Any) -> tuple[Any, ...]:
    if optimizer is None:
        return ()
    given = optimizer.values() if isinstance(optimizer, dict) else optimizer
    is_collection = isinstance(given, Iterable) and not hasattr(optimizer, "param_groups")
    return tuple(given) if is_collection else (optimizer,)


def _not_checked(left_out: Sequence[str]) -> Finding:
    reasons = list(dict.fromkeys(left_out))
    return Finding(
        "NOT_CHECKED",
        "info",
        "not looked at: " + "; ".join(reasons),
        "check(..., seconds=10) for more time; a DataLoader or a list of batches for the data",
        tuple(Evidence(reason, "looked at") for reason in reasons),
    )


def _examine(
    original: Setup,
    train_loader: Any,
    val_loader: Any,
    clock: Clock,
    probes: Sequence[Rule],
    experiments: Sequence[Rule],
) -> tuple[list[Finding], list[str], CheckContext | None]:
    """What was found, what was left out, and the context if a first pass was made."""
    left_out: list[str] = []
    train = _read(train_loader, "training data", _BATCHES, 0.15 * clock.seconds, left_out)
    val = _read(val_loader, "validation data", 16, 0.1 * clock.seconds, left_out)
    setup = original.copy()
    if setup is None:
        left_out.append("model, loss or optimizer cannot be deep-copied: no forward pass was made")
        return [], left_out, None
    device = next((p.device for p in setup.model.parameters()), torch.device("cpu"))
    findings: list[Finding] = []
    if train.problem:
        context = CheckContext(
            setup, train, val, lambda raw: raw, [], Batch((), None), None, _ids(original), clock
        )
        context.own_optimizer = bool(original.optimizers)
        findings += _apply(OF_THE_MODEL, context, left_out)
        return findings, left_out, None
    form, failure = _form(setup, train.batches[0], device)
    if form is not None and failure is None:
        _materialise(setup, form(train.batches[0]).to(device))
    if not original.optimizers:
        setup = setup.neutral(1e-3)
    if form is None:
        left_out.append("batches that hold no targets: neither a pair nor a mapping with labels")
        return findings, left_out, None
    batches = _in_form(train.batches, form, device)
    probe = _probe(train, form, device, batches)
    val_probe = _probe(val, form, device, []) if not val.problem else None
    context = CheckContext(
        setup, train, val, form, batches, probe, val_probe, _ids(original), clock, left_out
    )
    context.own_optimizer = bool(original.optimizers)
    findings += _apply(BEFORE_FORWARD, context, left_out)
    if any(finding.code == "NONFINITE_WEIGHTS" for finding in findings):
        left_out.append("what the model computes: its weights must be finite first")
        return findings, left_out, None
    failure = failure or _first_pass(context)
    if failure is not None:
        return [*findings, *_of_failure(failure, context, findings)], left_out, None
    findings += _apply(FACTS, context, left_out)
    problem = no_own_steps(original, context) if context.own_optimizer and experiments else None
    if problem is not None:
        left_out.append(problem)
        context.setup, context.own_optimizer = context.setup.neutral(1e-3), False
    findings += _apply((*probes, *experiments), context, left_out)
    return findings, left_out, context


def _ids(original: Setup) -> frozenset[int]:
    """The user's own parameters: a loss may hold them, and copies of it still do."""
    return frozenset(id(p) for p in original.model.parameters())


def _read(loader: Any, name: str, most: int, seconds: float, left_out: list[str]) -> Part:
    try:
        part = read(loader, most, _ROWS, seconds)
    except Exception as error:  # anybody's dataset, sampler and collate function
        swallow(error)
        part = Part(problem=f"reading it raised {type(error).__name__}: {error}")
    if part.problem and not (loader is None and name == "validation data"):
        left_out.append(f"the {name}: {part.problem}")
    if part.waited:
        read_so_far = f"{len(part.batches)} minibatches were read"
        left_out.append(f"more of the {name}: it took too long after {read_so_far}")
    return part


def _apply(rules: Sequence[Rule], context: CheckContext, left_out: list[str]) -> list[Finding]:
    """What the rules find. A rule that fails on odd objects is left out and told."""
    findings: list[Finding] = []
    for rule in rules:
        if context.late and rule not in FACTS and rule not in BEFORE_FORWARD:
            context.unmeasured.append(rule.__name__)
            continue
        try:
            findings += rule(context)
        except Exception as error:  # the user's code runs in here
            swallow(error)
            line = str(error).partition("\n")[0][:120]
            left_out.append(f"{rule.__name__}: {type(error).__name__}: {line}")
    return findings


Failure = tuple[str, BaseException]  # "forward" or "loss", and what was raised


def _form(setup: Setup, raw: Any, device: torch.device) -> tuple[Form | None, Failure | None]:
    """How batches are taken apart, and how the loss is called: the first way that works."""
    ways = forms(raw, setup.model)
    first: Failure | None = None
    for form in ways:
        for unpack in (False, True):
            setup.unpack = unpack
            failure = _trial(setup, form(raw).to(device))
            if failure is None:
                return form, None
            first = first or failure
            if failure[0] == "forward":
                break
    setup.unpack = False
    return (ways[0], first) if ways else (None, None)


def _trial(setup: Setup, batch: Batch) -> Failure | None:
    clone = setup.copy()
    assert clone is not None
    stage = "forward"
    try:
        clone.model.train()
        seed_generators(0)
        output = clone.outputs(batch)
        if first_tensor(output) is None:
            return "forward", TypeError(f"the model returned a {type(output).__name__}")
        stage = "loss"
        clone.loss_of(output, batch.target)
    except Exception as error:
        if not is_foreign(error):
            raise
        return stage, error
    return None


def _materialise(setup: Setup, batch: Batch) -> None:
    """Give lazy layers of the copy their shapes."""
    if any(isinstance(p, nn.UninitializedParameter) for p in setup.model.parameters()):
        with torch.no_grad():
            setup.outputs(batch)


def _in_form(raws: Sequence[Any], form: Form, device: torch.device) -> list[Batch]:
    batches = []
    for raw in raws:
        try:
            batches.append(form(raw).to(device))
        except (LookupError, TypeError):  # of another form than the first
            continue
    return batches


def _probe(part: Part, form: Form, device: torch.device, batches: Sequence[Batch]) -> Batch:
    """Rows from all over the data, else the first batch."""
    raw = part.spread if part.spread is not None else None
    if raw is None:
        raw = _joined(part.batches)
    try:
        return form(raw).to(device)
    except (LookupError, TypeError):
        return batches[0] if batches else form(part.batches[0]).to(device)


def _joined(raws: Sequence[Any]) -> Any:
    """The first batches as one of up to 256 rows, where they are plain tuples of tensors."""
    first = raws[0]
    if not isinstance(first, (tuple, list)) or not all(isinstance(t, Tensor) for t in first):
        return first
    rows, some = 0, []
    for raw in raws:
        same = len(raw) == len(first) and all(
            a.shape[1:] == b.shape[1:] for a, b in zip(raw, first, strict=True)
        )
        if not same or rows >= _ROWS:
            break
        some.append(raw)
        rows += len(raw[0]) if raw[0].ndim else 1
    return tuple(torch.cat(parts)[:_ROWS] for parts in zip(*some, strict=True))


def _first_pass(context: CheckContext) -> Failure | None:
    try:
        context.first = run_pass(context.setup, context.probe)
    except Exception as error:
        if not is_foreign(error):
            raise
        try:
            context.probe = context.batches[0]
            context.first = run_pass(context.setup, context.probe)
        except Exception as again:
            if not is_foreign(again):
                raise
            return "forward", error
    return None


def _of_failure(
    failure: Failure, context: CheckContext, findings: Sequence[Finding]
) -> list[Finding]:
    """What the user's own forward or loss raised, with its cause where it is known."""
    stage, error = failure
    x, y = context.probe.x, context.probe.target
    reason = " ".join(str(error).split())[:200]
    shapes = f"inputs {_shape(x)}, targets {_shape(y)}"
    out = _out_of_range(context, reason) if stage == "loss" else None
    if out is not None:
        return [out]
    cause, fix = _cause(reason, x, y, stage)
    plain = isinstance(y, Tensor) and len(context.probe.args) == 1
    what = "the model" if stage == "forward" else "the loss"
    return [
        Finding(
            "FORWARD_FAILS" if stage == "forward" else "LOSS_FAILS",
            "error" if plain else "info",
            f"{what} raises on the first batch: {cause}",
            fix,
            (Evidence(f"{type(error).__name__}: {reason}", "a loss", shapes),),
            confidence="fact" if plain else "suspected",
        )
    ]


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__


def _out_of_range(context: CheckContext, reason: str) -> Finding | None:
    """Labels that the outputs do not have."""
    y = class_indices(context.probe.target)
    if y is None or "out of bounds" not in reason:
        return None
    clone = context.setup.copy()
    assert clone is not None
    z = first_tensor(clone.outputs(context.probe))
    C = z.shape[1] if z is not None and z.ndim > 1 else 0
    wrong = sorted({label for label in y.tolist() if not 0 <= label < C})
    from steepest.health.check.rules.facts import _out_of_range as finding

    return finding(wrong, C) if wrong and C else None


def _cause(reason: str, x: Tensor | None, y: Any, stage: str) -> tuple[str, str]:
    """A known cause behind a message of torch, and its fix."""
    if "mat1 and mat2 shapes cannot be multiplied" in reason or "Given groups" in reason:
        shape = tuple(x.shape) if x is not None else ()
        flat = math.prod(shape[1:]) if shape else 0
        fix = (
            f"nn.Flatten() first, and nn.Linear({flat}, ...)"
            if len(shape) > 2
            else (f"nn.Linear({shape[-1] if shape else '...'}, ...) as the first layer")
        )
        return f"inputs of shape {shape} do not fit the first layer that meets them", fix
    if "same dtype" in reason or "expected scalar type" in reason or "must match" in reason[:60]:
        if stage == "forward" and x is not None:
            return f"inputs are {x.dtype}, the weights are not", "x = x.float()"
        dtype = y.dtype if isinstance(y, Tensor) else type(y).__name__
        return f"targets are {dtype}", "y = y.long() for class indices, y.float() for BCE"
    if "Target size" in reason or "target size" in reason.lower():
        return "targets and outputs have different shapes", "y = y.float().unsqueeze(1)"
    if "Long" in reason or "not implemented for 'Int'" in reason or "Byte" in reason:
        return "the targets' type does not fit the loss", "y = y.long()"
    return reason, "mend this before training; the message is that of the first batch"


def _triage(context: CheckContext, left_out: list[str]) -> tuple[str, ...]:
    """T2 and T3 in words, as far as there was time for them."""
    lines = []
    try:
        if context.net_learns is not None:
            can = "can" if context.net_learns else "cannot"
            lines.append(f"net and loss {can} learn {MEMORISED} rows by heart with Adam")
        if context.own_optimizer and context.descends is not None:
            halves = "halves" if context.descends else "does not halve"
            lines.append(f"the own optimizer {halves} the loss of {MEMORISED} rows in 200 steps")
    except Exception as error:  # the user's code runs in here
        swallow(error)
        left_out.append(f"learning a few rows by heart: {type(error).__name__}: {error}")
    return tuple(lines)
