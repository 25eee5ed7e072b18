"""Facts about the program: which parameters are held, reached and used; which mode does what."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.autograd_graph import PASSED, graph_nodes
from steepest.health.check.context import CheckContext
from steepest.health.check.probe_pass import ProbePass, run_pass
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import (
    AFTER_STEPS,
    DESCENT,
    EVERYTHING,
    Phase,
    looks_for,
    make_finding,
    rule,
)
from steepest.health.replay.replay import Setup, first_tensor, groups_of, tensors_in


def _listed(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@rule(
    "PARAMS_NOT_IN_OPTIMISER",
    "parameters that no optimizer holds",
    Phase.MODEL,
    Phase.FIRST_PASS,
    rank="program",
    place=30,
    severity="error",
    explains=EVERYTHING | {"NO_STEP"},
)
def params_not_in_optimiser(context: CheckContext) -> Iterator[Finding]:
    """Trainable parameters that are in no group, and tensors in groups that the model lacks.

    Where some are held, the first pass is awaited: an error if the output layer is not among them.
    """
    model, optimizers = context.setup.model, context.setup.optimizers
    if not context.original_optimizer or not all(map(groups_of, optimizers)):
        return
    held = {id(p): p for o in optimizers for g in groups_of(o) for p in g["params"]}
    of_the_model = {id(p) for p in model.parameters()}
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    missing = [name for name, p in trainable if id(p) not in held]
    everything = len(missing) == len(trainable)
    if context.first is not None:  # what gets no gradient either is meant to stay as it is
        missing = [name for name in missing if context.first.grads.get(name) is not None]
    if not missing:
        return
    of_loss = (
        context.setup.loss_fn.parameters() if isinstance(context.setup.loss_fn, nn.Module) else ()
    )
    known = of_the_model | {id(p) for p in of_loss}
    stale = sum(p.numel() for k, p in held.items() if k not in known)
    some = not everything and not stale
    if (context.first is None and not context.train.problem) if some else context.first is not None:
        return
    head = some and context.first is not None and not _head(context.first).isdisjoint(missing)
    evidence = [
        Evidence(
            f"{len(missing)} of {len(trainable)} tensors in no optimizer", "none", _listed(missing)
        )
    ]
    if stale:
        evidence.append(Evidence(f"the optimizer holds {stale} numbers of another model", "none"))
    yield make_finding(
        "PARAMS_NOT_IN_OPTIMISER",
        "the optimizer holds none of the model's parameters: no step can change the model"
        if everything
        else f"the optimizer does not hold {_listed(missing)}: no step changes them",
        "make the optimizer after the model is complete: "
        f"{type(optimizers[0]).__name__}(model.parameters(), ...)",
        tuple(evidence),
        ruled_out=("frozen on purpose: they have requires_grad=True",),
        severity="error" if everything or stale or head else "warn",
    )
    if everything:
        context.mend("PARAMS_NOT_IN_OPTIMISER", _made_anew(context.setup))


def _made_anew(setup: Setup) -> Setup:
    """With an optimizer of the same kind and settings that holds the model's parameters."""
    made = []
    for optimizer in setup.optimizers[:1]:
        known = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
        made.append(type(optimizer)(setup.model.parameters(), **known))
    return replace(setup, optimizers=tuple(made))


def _head(first: ProbePass) -> set[str]:
    """Names of the parameters of the last layer: of the graph's last node that takes a matrix."""
    names = {id(p): name for name, p in first.setup.model.named_parameters()}
    for node in graph_nodes(first.logits.grad_fn):
        leaves = [leaf for parent, _ in node.next_functions for leaf in _leaves(parent)]
        if any(leaf.ndim > 1 for leaf in leaves):
            return {names[id(leaf)] for leaf in leaves if id(leaf) in names}
    return set()


def _leaves(node: Any) -> Iterator[Tensor]:
    """The leaf that a node passes on: itself, or a view or transpose of it."""
    while node is not None and node.name().startswith(PASSED) and node.next_functions:
        node = node.next_functions[0][0]
    if hasattr(node, "variable"):
        yield node.variable


@rule(
    "UNREGISTERED_LAYERS",
    "layers that the model does not know of",
    Phase.FIRST_PASS,
    rank="program",
    place=40,
    severity="warn",
    explains=DESCENT,
)
def unregistered_layers(context: CheckContext) -> Iterator[Finding]:
    """Leaves of the loss's graph that want a gradient and are not among the parameters."""
    assert context.first is not None
    setup = context.first.setup
    known = {id(p) for p in setup.model.parameters()} | context.original_ids
    known |= {id(p) for o in setup.optimizers for g in groups_of(o) for p in g["params"]}
    if isinstance(setup.loss_fn, nn.Module):
        known |= {id(p) for p in setup.loss_fn.parameters()}
    known |= {id(a) for a in (*context.probe.args, *context.probe.kwargs.values())}
    strange = [leaf for leaf in context.first.leaves if id(leaf) not in known]
    strange = list({id(leaf): leaf for leaf in strange if leaf.ndim}.values())
    if not strange:
        return
    context.unregistered = True
    shapes = [str(tuple(leaf.shape)) for leaf in strange]
    yield make_finding(
        "UNREGISTERED_LAYERS",
        f"the loss depends on {len(strange)} weight tensors that model.parameters() does not "
        "contain: they are neither trained nor saved",
        "self.layers = nn.ModuleList(layers)  # not a Python list",
        (Evidence(f"{len(strange)} tensors outside", "0", "shapes " + _listed(shapes)),),
    )


@rule(
    "DETACHED_GRAPH",
    "parameters that no gradient reaches",
    Phase.FIRST_PASS,
    rank="program",
    place=50,
    severity="error",
    explains=EVERYTHING,
)
def detached_graph(context: CheckContext) -> Iterator[Finding]:
    """Parameters that get no gradient although their module ran, in each of up to three batches."""
    assert context.first is not None
    passes, without = _passes_without_gradient(context, context.first)
    if not without:
        return
    parameters = context.first.grads
    ran = {name for p in passes for name, signal in p.signals.items() if signal.calls}
    without -= context.reached
    cut = sorted(
        (name for name in without if _module_ran(context.setup.model, name, ran)),
        key=list(parameters).index,
    )
    unused = sorted(without - set(cut), key=list(parameters).index)
    beside = _of_other_outputs(context.first)
    if len(without) < len(parameters):
        cut = [name for name in cut if name not in beside and _is_held(context, name)]
    if len(without) == len(parameters):
        yield make_finding(
            "DETACHED_GRAPH",
            "the loss is not connected to any parameter: backward reaches nothing",
            "remove .detach(), .data, .item(), .numpy() or torch.no_grad() between model and loss",
            (Evidence(f"0 of {len(parameters)} parameters get a gradient", "all"),),
        )
    elif cut:
        yield make_finding(
            "DETACHED_GRAPH",
            f"no gradient reaches {_listed(cut)}, though the forward pass uses them",
            "remove .detach(), .data or torch.no_grad() behind these layers; or, if they are to "
            "stay as they are, parameter.requires_grad_(False)",
            (Evidence("gradient None after backward", "a tensor", _listed(cut)),),
            ruled_out=(f"stochastic depth: {len(passes)} batches gave the same",),
            severity="warn",
        )
    elif beside & without:
        yield make_finding(
            "DETACHED_GRAPH",
            f"the loss that was given does not use the outputs that {_listed(sorted(beside))} make",
            "nothing, where the loop adds a loss of these outputs; or leave them out of forward",
            (Evidence("gradient None", "one, by the loss of another output"),),
            severity="info",
        )
    elif unused:
        yield make_finding(
            "DETACHED_GRAPH",
            f"the forward pass does not use {_listed(unused)}",
            "remove these layers, or call them in forward",
            (Evidence("gradient None, and the layer was not called", "called", _listed(unused)),),
            severity="info",
        )


def _passes_without_gradient(
    context: CheckContext, first: ProbePass
) -> tuple[list[ProbePass], set[str]]:
    """Up to three passes, and the parameters that get no gradient in any of them."""
    passes, without = [first], {name for name, grad in first.grads.items() if grad is None}
    for batch in context.batches[:2] if without else []:
        again = run_pass(context.setup, context.few(batch))
        if again is not None:
            passes.append(again)
            without &= {name for name, grad in again.grads.items() if grad is None}
    return passes, without


def _of_other_outputs(first: ProbePass) -> set[str]:
    """Names of the parameters that some output depends on, and not the loss: of a second head."""
    names = {id(p): name for name, p in first.setup.model.named_parameters()}
    reached = {
        names[id(node.variable)]
        for z in tensors_in(first.output)
        for node in graph_nodes(z.grad_fn)
        if hasattr(node, "variable") and id(node.variable) in names
    }
    return {name for name in reached if first.grads.get(name) is None}


def _is_held(context: CheckContext, name: str) -> bool:
    """Whether an optimizer holds the parameter: neither that nor a gradient is a frozen one."""
    if not context.original_optimizer:
        return True
    groups = [g for o in context.setup.optimizers for g in groups_of(o)]
    p = context.setup.model.get_parameter(name)
    return not groups or any(p is held for g in groups for held in g["params"])


def _module_ran(model: nn.Module, parameter: str, ran: set[str]) -> bool:
    """Whether the module that owns a parameter was called; the model itself always is."""
    owner = parameter.rpartition(".")[0]
    module = model.get_submodule(owner) if owner else model
    if isinstance(module, (nn.ParameterList, nn.ParameterDict)):
        owner = owner.rpartition(".")[0]
    return owner in ran or not owner


@looks_for("DETACHED_GRAPH", Phase.MODEL)
def nothing_trainable(context: CheckContext) -> Iterator[Finding]:
    if not any(p.requires_grad for p in context.setup.model.parameters()):
        yield make_finding(
            "DETACHED_GRAPH",
            "no parameter of the model requires a gradient: nothing can be trained",
            "for p in model.parameters(): p.requires_grad_(True)",
            (Evidence("0 parameters with requires_grad", "at least 1"),),
        )


@rule(
    "ASCENT",
    "the loss is made larger",
    Phase.FIRST_PASS,
    rank="program",
    place=140,
    severity="error",
    explains=AFTER_STEPS,
)
def ascent(context: CheckContext) -> Iterator[Finding]:
    """maximize=True, or a loss that falls where the cross entropy rises."""
    upwards = [g for o in context.setup.optimizers for g in groups_of(o) if g.get("maximize")]
    negative = context.kind in ("cross_entropy", "bce_logits") and context.loss_at_start < 0
    if bool(upwards) != negative and context.classes:
        measured = (
            "maximize=True" if upwards else f"loss {context.loss_at_start:.3g} before training"
        )
        yield make_finding(
            "ASCENT",
            "every step makes the cross entropy larger: the descent goes uphill",
            "torch.optim.SGD(..., maximize=False)" if upwards else "loss.backward()  # not -loss",
            (Evidence(measured, "maximize=False" if upwards else "a loss of at least 0"),),
        )
        if upwards:
            context.mend("ASCENT", _downwards(context.setup))


def _downwards(setup: Setup) -> Setup:
    for optimizer in setup.optimizers:
        for group in groups_of(optimizer):
            group["maximize"] = False
    return setup


@rule(
    "STOCHASTIC_EVAL",
    "random in eval mode",
    Phase.PROBE,
    rank="program",
    place=130,
    severity="warn",
    explains={"EVAL_IN_TRAIN_MODE"},
)
def stochastic_eval(context: CheckContext) -> Iterator[Finding]:
    """Two forward passes in eval mode that differ."""
    clone = context.setup.copy()
    if clone is None:
        return
    clone.model.eval()
    few = context.probe.take(slice(0, 64))
    with torch.no_grad():
        seed_generators(1)
        a = first_tensor(clone.outputs(few))
        seed_generators(2)
        b = first_tensor(clone.outputs(few))
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
        return
    gap = float((a - b).abs().max())
    if gap > 1e-6 * max(1.0, float(a.abs().max())):
        yield make_finding(
            "STOCHASTIC_EVAL",
            "in eval mode the model gives other outputs each time: something random stays on",
            "F.dropout(x, p, training=self.training)",
            (Evidence(f"outputs differ by up to {gap:.3g}", "0", "same rows, twice"),),
            ruled_out=("dropout of train mode: both passes were in eval mode",),
        )


@rule(
    "SHARED_MODULE",
    "one layer in several places",
    Phase.MODEL,
    rank="model",
    place=130,
    severity="info",
)
def shared_module(context: CheckContext) -> Iterator[Finding]:
    """The same layer object several times in one container."""
    for name, module in context.setup.model.named_modules():
        if not isinstance(module, (nn.Sequential, nn.ModuleList)):
            continue
        children = [m for m in module._modules.values() if m is not None]
        weighty = [m for m in children if next(m.parameters(), None) is not None]
        if len({id(m) for m in weighty}) < len(weighty):
            yield make_finding(
                "SHARED_MODULE",
                f"{name or 'the model'} has the same layer in several places: one set of weights",
                "[nn.Linear(64, 64) for _ in range(5)]  # not [nn.Linear(64, 64)] * 5",
                (Evidence(f"{len({id(m) for m in weighty})} layers", f"{len(weighty)}", name),),
            )
            return
