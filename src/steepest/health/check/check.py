"""check(): look at a training before its first step, on anyone's own PyTorch objects.

In order, each only if the one before went through: read some minibatches (`forming`); copy model,
loss and optimizer; rules that need no data, then those that need no forward pass; the first pass
(`failures`, if it raises) and the rules that read it or take a few passes more; then, as long as
there is time, neighbours and steps on copies. The first of these are facts: they are looked for
whatever time there is, on as few rows as a pass is dear (`costs`). What follows is begun only if it
fits. All is put back at the end (`untouched`).
"""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from steepest.engine import process_state
from steepest.health.arguments import optimizers_in, require_arguments
from steepest.health.check.context import MEMORISED, REPLAYED, CheckContext
from steepest.health.check.costs import affordable
from steepest.health.check.custom_optimizers import why_not_steppable
from steepest.health.check.failures import Failure, finding_of_failure
from steepest.health.check.forming import (
    form_of,
    in_form,
    materialise,
    read_part,
    sample_of,
    trial,
)
from steepest.health.check.probe_pass import run_pass
from steepest.health.check.rules import functions_of
from steepest.health.clock import Clock
from steepest.health.findings.collection import Findings
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.ranking import ranked
from steepest.health.findings.registry import RANKS, Phase, codes_of, make_finding, rule
from steepest.health.foreign import is_foreign, swallow
from steepest.health.replay.batches import Batch, LoaderSample
from steepest.health.replay.replay import Setup
from steepest.health.replay.untouched import Kept, untouched

_BATCHES, _VAL_BATCHES = 64, 16  # minibatches that are read
# Of the time, for each part; and seconds that facts about the rows need at least.
_READING, _LEAST_READING = 0.15, 0.2
_NAMED = 4  # of what there was no time for, and of reasons
_WORTH_SHARING = 1_000_000  # weights
_NO_ROWS = Batch((), None)

Looks = Callable[[CheckContext], Iterator[Finding]]


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

    Leaves no trace: parameters, buffers, gradients, flags, optimizer state and random generators
    are bit for bit as before. Never raises because of these objects: what cannot be looked at is
    said in a finding NOT_CHECKED of severity info, and what the user's own forward or loss raises
    on the first batch is a finding of severity error.

    Args:
        model: Any nn.Module.
        loss_fn: A criterion or any function of (outputs, targets).
        optimizer: A torch optimizer, several in a list, or None.
        train_loader: A DataLoader or any iterable of batches: (inputs, targets), (input, ...,
            targets) or a dict with "labels". What can be read only once is left alone.
        val_loader: The same of the validation part.
        seconds: Experiments are begun within this time on the processor (by the clock where a
            graphics card works), if they fit. Facts are looked for always; of a large net they take
            some steps of its training. Other work on the machine makes it slower and changes no
            verdict. What there was no time for is one line at the end.

    Returns:
        The findings, and in `triage` what the tests said: whether net and loss can learn a few rows
        by heart at all, and whether the optimizer does.

    Raises:
        TypeError: One of model, loss_fn and optimizer cannot be that.
    """
    # What torch.compile wraps is the same module, and can be listened to.
    model = getattr(model, "_orig_mod", model)
    optimizers = optimizers_in(optimizer)
    require_arguments(model, loss_fn, optimizers)
    setup = Setup(model, loss_fn, optimizers)
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
    reached: frozenset[str] = frozenset(),
) -> Findings:
    """`check` of a setup, or a part of it.

    Args:
        setup: The user's objects.
        train_loader: As in `check`.
        val_loader: As in `check`.
        seconds: As in `check`.
        steady: The optimizer's rates are those of the first steps, and nothing else is done to a
            gradient; otherwise the rules of the optimizer say nothing.
        thorough: With the tests of `triage`, T2 and T3.
        experiments: With steps on copies.
        of_the_data: With the comparison of rows with their neighbours.
        reached: Parameters that are known to get gradients in the loop, whatever its losses are.

    Returns:
        As `check`.
    """
    clock = _clock(setup.model, seconds)
    with (
        untouched(setup.model, setup.loss_fn, setup.optimizers, train_loader, val_loader) as kept,
        warnings.catch_warnings(),
        # Small nets are quicker on one thread, much so on a busy machine.
        process_state(generators=False, threads=1 if _is_small(setup.model) else None),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        warnings.simplefilter("ignore")
        phases = [Phase.PROBE, *([Phase.NEIGHBOURS] if of_the_data else [])]
        phases += [Phase.SHOWN, Phase.EXPERIMENT, Phase.LONG_EXPERIMENT] if experiments else []
        try:
            findings, left_out, context = _examine(
                setup, train_loader, val_loader, clock, phases, steady, reached, kept
            )
        except Exception as error:  # the user's code runs in here
            swallow(error)
            findings, left_out, context = [], [f"anything: {type(error).__name__}: {error}"], None
        triage = _triage(context, left_out) if context is not None and thorough else ()
    more = 10
    if context is not None and context.unmeasured:
        left_out.append(_for_want_of_time(context))
        more = max(more, _seconds_of_what_ifs(context))
    if left_out:
        findings.append(_not_checked(left_out, more))
    return Findings(ranked(findings), triage)


def _is_small(model: nn.Module) -> bool:
    known = (p for p in model.parameters() if not isinstance(p, nn.UninitializedParameter))
    return sum(p.numel() for p in known) < _WORTH_SHARING


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


def _seconds_of_what_ifs(context: CheckContext) -> int:
    """What four of them take, the steps as they are and three others, in one digit."""
    rows = context.batches[0].rows if context.batches else 0
    seconds = 4 * REPLAYED * rows * context.a_row
    unit: int = 10 ** max(0, len(str(int(seconds))) - 1)
    return unit * math.ceil(seconds / unit)


@rule("NOT_CHECKED", "what could not be looked at", rank="note", place=10, severity="info")
def _not_checked(left_out: Sequence[str], more: int) -> Finding:
    """more: seconds that would have been enough for most."""
    reasons = list(dict.fromkeys(left_out))
    shown = reasons if len(reasons) <= _NAMED else [*reasons[: _NAMED - 1], reasons[-1]]
    hidden = f" (and {len(reasons) - len(shown)} more)" if len(reasons) > len(shown) else ""
    return make_finding(
        "NOT_CHECKED",
        "not looked at: " + "; ".join(shown) + hidden,
        f"check(..., seconds={more}) for more time; a DataLoader or a list of batches for the data",
        tuple(Evidence(reason, "looked at") for reason in shown),
    )


def _examine(
    original: Setup,
    train_loader: Any,
    val_loader: Any,
    clock: Clock,
    phases: Sequence[Phase],
    steady: bool,
    reached: frozenset[str],
    kept: Kept,
) -> tuple[list[Finding], list[str], CheckContext | None]:
    """What was found, what was left out, and the context if a first pass was made."""
    left_out: list[str] = []
    reading = max(_READING * clock.seconds, _LEAST_READING)
    train = read_part(train_loader, "training data", _BATCHES, reading, left_out)
    val = read_part(val_loader, "validation data", _VAL_BATCHES, reading, left_out, again=True)
    setup = original.copy()
    if setup is None:
        left_out.append("model, loss or optimizer cannot be deep-copied: no forward pass was made")
        return [], left_out, None
    kept.by(setup.model, original.model)
    if train.problem:
        context = CheckContext(
            setup, train, val, lambda raw: raw, [], _NO_ROWS, None, _ids(original), clock
        )
        context.original_optimizer = bool(original.optimizers)
        return _apply(_functions([Phase.MODEL]), context, left_out), left_out, None
    made, failure = _with_rows(original, setup, train, val, clock, left_out)
    if made is None:
        left_out.append("batches that hold no targets: neither a pair nor a mapping with labels")
        return [], left_out, None
    context = made
    context.reached, context.may_step = reached, Phase.EXPERIMENT in phases
    findings = _apply(_functions([Phase.MODEL, Phase.ROWS]), context, left_out)
    if any(finding.code == "NONFINITE_WEIGHTS" for finding in findings):
        left_out.append("what the model computes: its weights must be finite first")
        return findings, left_out, None
    failure = failure or _first_pass(context)
    if failure is not None:
        return [*findings, finding_of_failure(failure, context)], left_out, None
    findings += _apply(_functions([Phase.FIRST_PASS]), context, left_out)
    _find_stepper(original, context)
    facts = [phase for phase in phases if phase in (Phase.PROBE, Phase.SHOWN)]
    findings += _apply(_functions(facts, steady=steady), context, left_out)
    rest = [phase for phase in phases if phase not in facts]
    findings += _apply(_functions(rest, steady=steady), context, left_out, timed=True)
    return findings, left_out, context


def _with_rows(
    original: Setup,
    setup: Setup,
    train: LoaderSample,
    val: LoaderSample,
    clock: Clock,
    left_out: list[str],
) -> tuple[CheckContext | None, Failure | None]:
    """The context of rows that were read, and why a pass of them fails, if it does.

    None if the batches hold no targets. setup: the copy.
    """
    device = next((p.device for p in setup.model.parameters()), torch.device("cpu"))
    form, tried, seconds, failure = form_of(setup, train.batches[0], device, clock)
    if form is None:
        return None, failure
    if failure is None:
        materialise(setup, tried)
    if not original.optimizers:
        setup = setup.neutral(1e-3)
    batches = in_form(train.batches, form, device)
    sample = sample_of(train, form, device, batches)
    val_sample = sample_of(val, form, device, []) if not val.problem else None
    context = CheckContext(
        setup, train, val, form, batches, sample, val_sample, _ids(original), clock, left_out
    )
    context.original_optimizer = bool(original.optimizers)
    if failure is None:
        context.probe, context.a_row = affordable(setup, sample, tried, seconds, clock)
    return context, failure


def _find_stepper(original: Setup, context: CheckContext) -> None:
    """Adam takes the steps in place of an optimizer that cannot take them on a copy."""
    if not (context.original_optimizer and context.may_step):
        return
    problem = why_not_steppable(original, context)
    if problem is not None:
        context.left_out.append(problem)
        context.setup, context.original_optimizer = context.setup.neutral(1e-3), False


def _ids(original: Setup) -> frozenset[int]:
    """The user's own parameters: a loss may hold them, and copies of it still do."""
    return frozenset(id(p) for p in original.model.parameters())


def _functions(phases: Sequence[Phase], *, steady: bool = True) -> Iterator[Looks]:
    """What is called in these phases; without the rules of the optimizer unless it is steady."""
    of_the_optimizer = RANKS.index("optimizer")
    for phase in phases:
        for function, (rank, _) in functions_of(phase).items():
            if steady or rank != of_the_optimizer:
                yield function


def _apply(
    functions: Iterable[Looks], context: CheckContext, left_out: list[str], *, timed: bool = False
) -> list[Finding]:
    """What they find. What fails on odd objects is left out and said.

    timed: what there is no time for any more is left out, too.
    """
    findings: list[Finding] = []
    for look in functions:
        if timed and context.late:
            context.unmeasured.append(codes_of(look))
            continue
        mended = context.mended
        try:
            findings += [
                replace(found, apart=mended) if mended else found for found in look(context)
            ]
        except Exception as error:  # the user's code runs in here
            swallow(error)
            line = str(error).partition("\n")[0][:120]
            left_out.append(f"{codes_of(look)}: {type(error).__name__}: {line}")
    return findings


def _triage(context: CheckContext, left_out: list[str]) -> tuple[str, ...]:
    """T2 and T3 in words, as far as there was time for them."""
    lines = []
    try:
        if context.net_learns is not None:
            can = "can" if context.net_learns else "cannot"
            lines.append(
                f"net and loss{_mended(context)} {can} learn {MEMORISED} rows by heart with Adam"
            )
        if context.original_optimizer and context.descends is not None:
            halves = "halves" if context.descends else "does not halve"
            own = f"the own optimizer{_mended(context)}"
            lines.append(f"{own} {halves} the loss of {MEMORISED} rows in 200 steps")
    except Exception as error:  # the user's code runs in here
        swallow(error)
        left_out.append(f"learning a few rows by heart: {type(error).__name__}: {error}")
    return tuple(lines)


def _mended(context: CheckContext) -> str:
    return f", {' and '.join(context.mended)} mended," if context.mended else ""


def _first_pass(context: CheckContext) -> Failure | None:
    try:
        before = context.clock.spent()
        context.first = run_pass(context.setup, context.probe)
        taken = context.clock.spent() - before
        context.a_row = min(context.a_row, taken / context.probe.rows)
    except Exception as error:
        if not is_foreign(error):
            raise
        failure = trial(context.setup, context.probe)
        try:
            context.probe = context.batches[0]
            context.first = run_pass(context.setup, context.probe)
        except Exception as again:
            if not is_foreign(again):
                raise
            return failure or Failure("forward", error)
    return None
