"""backprop(): the ledger of one forward and one backward pass, every step worked out by hand."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from steepest.errors import ModelError, SteepestError, did_you_mean
from steepest.explain.backprop.entry import LedgerEntry, greatest_difference
from steepest.explain.backprop.layers import AutogradLayer, ManualResidual, layer_of
from steepest.explain.backprop.loss_step import LossStep
from steepest.explain.backprop.manual_layer import Activations, ManualLayer
from steepest.explain.backprop.reference import Call, Reference, array_of, run
from steepest.explain.backprop.symbols import Symbol
from steepest.explain.backprop.writer import LedgerWriter
from steepest.explain.targets import objective_of, range_kept
from steepest.files import write_atomically
from steepest.nn import Residual

TASKS = ("auto", "multiclass", "binary", "multilabel")


class Ledger(Sequence[LedgerEntry]):
    """Every quantity of a forward and a backward pass, in the order in which it is worked out.

    A sequence of `LedgerEntry`; `ledger["dL/dW1"]` is one by its name. `str()` is text, a notebook
    shows it as a page, `html()`, `markdown()` and `save(path)` write it.

    Args:
        entries: In their order: forward, loss, backward.
        title: What was worked out, as "backpropagation through Sequential, N = 4".
        notes: What is to be known about the whole.
    """

    def __init__(
        self, entries: Sequence[LedgerEntry], title: str, notes: Sequence[str] = ()
    ) -> None:
        self.entries = tuple(entries)
        self.title = title
        self.notes = tuple(notes)

    def __getitem__(self, key: Any) -> Any:
        """An entry by its name or its number.

        Raises:
            KeyError: No entry has that name; the message has the nearest one.
        """
        if not isinstance(key, str):
            return self.entries[key]
        if key not in self._by_name:
            hint = did_you_mean(key, self._by_name) or f"; there are {', '.join(self._by_name)}"
            raise KeyError(f"the ledger has no {key!r}{hint}")
        return self._by_name[key]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self.entries)

    @property
    def loss(self) -> float:
        """The mean loss of the rows, in nats."""
        return float(self["L"].value)

    @property
    def greatest_difference(self) -> float:
        """Between a number worked out by hand and autograd's, over the whole ledger."""
        return greatest_difference(self.entries)

    @property
    def agrees(self) -> bool:
        """Whether all numbers worked out by hand are autograd's, but for rounding."""
        return all(entry.agrees for entry in self)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON.

        Returns:
            title, loss (nats), agrees, greatest_difference, notes, and entries as plain data.
        """
        return {
            "title": self.title,
            "loss": self.loss,
            "agrees": self.agrees,
            "greatest_difference": self.greatest_difference,
            "notes": list(self.notes),
            "entries": [entry.to_dict() for entry in self],
        }

    def markdown(self) -> str:
        """As Markdown with the formulas in LaTeX."""
        from steepest.explain.backprop.pages import ledger_markdown

        return ledger_markdown(self.title, self.notes, self.entries)

    def html(self) -> str:
        """As one page that needs nothing else: the formulas are MathML, which browsers draw."""
        from steepest.explain.backprop.pages import ledger_page

        return ledger_page(self.title, self.notes, self.entries)

    def save(self, path: str | Path) -> Path:
        """Write the ledger to a file.

        Args:
            path: Ends in .html, .md or .txt, which says the format.

        Returns:
            The path.

        Raises:
            SteepestError: Another ending, or the file cannot be written.
        """
        path = Path(path)
        formats = {".html": self.html, ".md": self.markdown, ".txt": self.__str__}
        if path.suffix not in formats:
            raise SteepestError(
                f"a ledger is saved as {', '.join(formats)}, but the file is {path.name!r}"
            )
        write_atomically(path, formats[path.suffix]().encode())
        return path

    def __str__(self) -> str:
        from steepest.explain.backprop.text import as_text, ledger_text

        return as_text(ledger_text(self.title, self.notes, self.entries))

    def __rich__(self) -> Any:
        from steepest.explain.backprop.text import ledger_text

        return ledger_text(self.title, self.notes, self.entries)

    def _repr_html_(self) -> str:
        from steepest.explain.backprop.pages import ledger_fragment

        return ledger_fragment(self.title, self.notes, self.entries)

    def __repr__(self) -> str:
        return f"<Ledger of {self.title}: {len(self)} entries, loss {self.loss:.4f}>"

    @cached_property
    def _by_name(self) -> dict[str, LedgerEntry]:
        return {entry.name: entry for entry in reversed(self.entries)}


def backprop(
    model: nn.Module, x: Any, y: Any, *, task: str = "auto", training: bool = False
) -> Ledger:
    """Work out a forward and a backward pass step by step, and compare each number with autograd.

    A chain of layers (`torch.nn.Sequential`) is worked out by hand from its inputs to dL/dX, in
    NumPy and float64. Of any other module each layer by itself is, from the inputs and the gradient
    that autograd gives it. Where no formula is known, the numbers are autograd's and say so.

    Args:
        model: Maps a batch to (N, C) logits or probabilities, or to (N,) or (N, 1) for two classes.
            It is copied and stays as it is.
        x: (N, ...) numbers, as the model takes them.
        y: (N,) class indices from 0, or (N, C) one-hot rows, or (N, K) rows of 0 and 1 where a row
            may have several classes.
        task: "multiclass", "binary", "multilabel", or "auto", by the shape of the model's outputs
            and of y.
        training: With what batch normalisation and dropout do while training, instead of evaluation
            mode.

    Returns:
        Every quantity with its formula, its numbers and its difference to autograd.

    Raises:
        ModelError: The model does not take x, or the task does not fit its outputs.
        TargetError: y does not fit the outputs.

    Source:
        The formulas are those of Goodfellow, Bengio and Courville, "Deep Learning", 2016, section
        6.5; batch normalisation's of Ioffe and Szegedy, 2015.
    """
    if task not in TASKS:
        raise ModelError(f"task must be one of {', '.join(TASKS)}, but is {task!r}")
    reference = run(model, x, training=training)
    lasting = range_kept(reference.model, reference.outputs, reference.inputs)
    objective, targets = objective_of(reference.outputs, y, task, lasting)
    value = objective.loss(reference.outputs, torch.from_numpy(targets))
    output_gradients: list[Tensor] = []
    in_graph = _uses_in_graph(value)
    if reference.outputs.requires_grad:
        reference.outputs.register_hook(output_gradients.append)  # type: ignore[no-untyped-call]
        value.backward()  # type: ignore[no-untyped-call]
    loss_step = LossStep(objective, targets, reference.outputs)
    loss_step.gradient = array_of(output_gradients[0]) if output_gradients else None
    writer = LedgerWriter(len(reference.outputs), *_uses(reference, in_graph))
    calls = list(reference.calls)
    chain = _chain(reference.model, reference)
    if chain is not None:
        _work_out_chain(chain, reference, loss_step, writer)
    else:
        reference.calls = calls
        _work_out_calls(reference, loss_step, writer)
    return Ledger(
        writer.entries, _title(model, writer.rows), _notes(writer, training, chain is None)
    )


def _uses_in_graph(value: Tensor) -> Counter[int]:
    """How often the autograd graph leads to each parameter."""
    uses: Counter[int] = Counter()
    seen: set[Any] = set()
    waiting = [value.grad_fn]
    while waiting:
        function = waiting.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        for earlier, _ in function.next_functions:
            leaf = getattr(earlier, "variable", None)
            if leaf is not None:
                uses[id(leaf)] += 1
            waiting.append(earlier)
    return uses


def _uses(reference: Reference, in_graph: Counter[int]) -> tuple[Counter[int], set[int]]:
    """How often layers worked out by hand use each parameter, and which ones others use too."""
    uses: Counter[int] = Counter()
    elsewhere: set[int] = set()
    for call in reference.calls:
        if call.input is None or any(True for _ in call.module.children()):
            continue
        foreign = isinstance(layer_of(call, call.input.ndim), AutogradLayer)
        for parameter in call.module.parameters(recurse=False):
            if foreign:
                elsewhere.add(id(parameter))
            else:
                uses[id(parameter)] += 1
    # Code between the modules may use a parameter too.
    return uses, elsewhere | {key for key, count in uses.items() if in_graph[key] > count}


def _work_out_chain(
    layers: list[ManualLayer], reference: Reference, loss_step: LossStep, writer: LedgerWriter
) -> None:
    activations = _write_inputs(reference, writer)
    for layer in layers:
        activations = layer.forward(activations, writer)
    loss_step.forward(activations, writer)
    gradient = loss_step.backward(writer)
    for layer in reversed(layers):
        gradient = layer.backward(gradient, writer)


def _work_out_calls(reference: Reference, loss_step: LossStep, writer: LedgerWriter) -> None:
    """Each call by itself, its inputs and the gradient of its outputs being autograd's."""
    first = _write_inputs(reference, writer)
    symbols: dict[int, Symbol] = {}
    layers: list[ManualLayer] = []
    count = 0
    for call in reference.calls:
        if call.input is None or any(True for _ in call.module.children()):
            continue
        layer = layer_of(call, call.input.ndim)
        symbol = symbols.get(id(call.input))
        if symbol is None:
            symbol = first.symbol if not layers else _write_given(call, writer, count)
        activations = layer.forward(Activations(symbol, array_of(call.input), count), writer)
        count = activations.layer
        symbols[id(call.output)] = activations.symbol
        layers.append(layer)
    last = symbols.get(id(reference.outputs))
    if last is None:
        last = writer.symbol("Z", count + 1)
        value = array_of(reference.outputs)
        writer.write(last, value, "", value, by_hand=False, note="the model's outputs")
    loss_step.forward(Activations(last, array_of(reference.outputs), count), writer)
    loss_step.backward(writer)
    written = {entry.name for entry in writer.entries}
    for layer in reversed(layers):
        gradient = layer.call.output_gradient
        if gradient is None:
            continue
        if layer.output_symbol.gradient_name not in written:
            note = "autograd's: what all that use it send back"
            writer.write_gradient(
                layer.output_symbol, gradient, "", gradient, by_hand=False, note=note
            )
        written.add(layer.output_symbol.gradient_name)
        layer.backward(gradient, writer)
        written.add(layer.input_symbol.gradient_name)


def _write_inputs(reference: Reference, writer: LedgerWriter) -> Activations:
    value = array_of(reference.inputs)
    writer.write(writer.symbol("X"), value, "", None, by_hand=False, note="the inputs")
    return Activations(Symbol("X"), value)


def _write_given(call: Call, writer: LedgerWriter, count: int) -> Symbol:
    """An input that no module gave: the model's own code worked it out."""
    assert call.input is not None
    symbol, value = writer.symbol("H", count), array_of(call.input)
    where = f"{call.name} ({type(call.module).__name__})"
    note = "what this module is given, worked out by code between the modules"
    writer.write(symbol, value, "", value, module=where, by_hand=False, note=note)
    return symbol


def _chain(module: nn.Module, reference: Reference) -> list[ManualLayer] | None:
    """The layers of a Sequential in order, or None if the model is no chain of modules."""
    if type(module) is nn.Sequential:
        layers: list[ManualLayer] = []
        for child in module._modules.values():
            inner = None if child is None else _chain(child, reference)
            if inner is None:
                return None
            layers += inner
        return layers
    if type(module) is Residual and not (module.training and module.stochastic_depth):
        block = _chain(module.block, reference)
        return None if block is None else [ManualResidual(reference.of(module), block)]
    if any(True for _ in module.children()):
        # Its inside is not known to be a chain: one layer, whose numbers are autograd's, if it is
        # part of one, and none at all if it is the model.
        return [AutogradLayer(reference.of(module))] if module is not reference.model else None
    call = reference.of(module)
    return [layer_of(call, 0 if call.input is None else call.input.ndim)]


def _title(model: nn.Module, rows: int) -> str:
    return f"backpropagation through {type(model).__name__}, N = {rows}"


def _notes(writer: LedgerWriter, training: bool, by_calls: bool) -> list[str]:
    notes = [f"{'training' if training else 'evaluation'} mode; everything in float64"]
    if any(entry.name.startswith("dL/dW") for entry in writer.entries):
        notes.append("W is out × in, as torch and the lecture keep it: Z = X Wᵀ + b")
    if by_calls:
        notes.append(
            "the model is no torch.nn.Sequential: each layer is worked out from the inputs and "
            "the gradient of its outputs that autograd gives"
        )
    return notes
