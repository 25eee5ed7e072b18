"""backprop(): the ledger of one forward and one backward pass, every step worked out by hand."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.data import not_one_hot
from steepest.engine import process_state
from steepest.errors import ModelError, SteepestError, TargetError, did_you_mean
from steepest.explain.backprop.book import Book, Entry, greatest_difference
from steepest.explain.backprop.closing import Closing
from steepest.explain.backprop.layers import ByHand, Flow, Foreign, Residual, layer_of
from steepest.explain.backprop.reference import Call, Reference, array_of, run
from steepest.explain.backprop.symbols import Symbol
from steepest.files import write_atomically
from steepest.nn import Residual as ResidualModule
from steepest.objective import Objective, Range, is_plain_to_see, lasting_range

LOSSES = ("auto", "multiclass", "binary", "multilabel")


class Ledger(Sequence[Entry]):
    """Every quantity of a forward and a backward pass, in the order in which it is worked out.

    `ledger["dL/dW1"].value` is one of them. str() is text, in a notebook it shows itself,
    `html()`, `markdown()` and `save(path)` write it. notes: what is to be known about the whole.
    """

    def __init__(self, entries: Sequence[Entry], title: str, notes: Sequence[str] = ()) -> None:
        self.entries = tuple(entries)
        self.title = title
        self.notes = tuple(notes)

    def __getitem__(self, key: Any) -> Any:
        """An entry by its name or its number. Raises KeyError with the nearest name."""
        if not isinstance(key, str):
            return self.entries[key]
        if key not in self._by_name:
            hint = did_you_mean(key, self._by_name) or f"; there are {', '.join(self._by_name)}"
            raise KeyError(f"the ledger has no {key!r}{hint}")
        return self._by_name[key]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    @property
    def loss(self) -> float:
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
        """As plain data, for JSON."""
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
        """Write .html, .md or .txt. Raises SteepestError for another ending."""
        path = Path(path)
        ways = {".html": self.html, ".md": self.markdown, ".txt": self.__str__}
        if path.suffix not in ways:
            raise SteepestError(
                f"a ledger is saved as {', '.join(ways)}, but the file is {path.name!r}"
            )
        write_atomically(path, ways[path.suffix]().encode())
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
    def _by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in reversed(self.entries)}


def backprop(
    model: nn.Module, x: Any, y: Any, *, loss: str = "auto", training: bool = False
) -> Ledger:
    """Work out a forward and a backward pass step by step, and compare each number with autograd.

    A chain of layers (torch.nn.Sequential) is worked out by hand from its inputs to dL/dX, in
    NumPy and float64. Of any other module each layer by itself is, from the inputs and the
    gradient that autograd gives it. Where no formula is known, the numbers are autograd's and say
    so. The model is copied and stays as it is.

    x: (N, ...) numbers, as the model takes them. y: (N,) class indices, or (N, C) one-hot rows, or
    (N, K) rows of 0 and 1 where a row may have several classes. loss: "multiclass", "binary",
    "multilabel", or "auto", by the shape of the model's outputs and of y. training: with what batch
    normalisation and dropout do while training, instead of evaluation mode.
    Raises ModelError if the model does not take x, TargetError if y does not fit its outputs.
    """
    if loss not in LOSSES:
        raise ModelError(f"loss must be one of {', '.join(LOSSES)}, but is {loss!r}")
    reference = run(model, x, training=training)
    lasting = range_kept(reference.model, reference.outputs, reference.inputs)
    objective, targets = objective_of(reference.outputs, y, loss, lasting)
    value = objective.loss(reference.outputs, torch.from_numpy(targets))
    grown: list[Tensor] = []
    in_graph = _uses_in_graph(value)
    if reference.outputs.requires_grad:
        reference.outputs.register_hook(grown.append)  # type: ignore[no-untyped-call]
        value.backward()  # type: ignore[no-untyped-call]
    closing = Closing(objective, targets, reference.outputs)
    closing.gradient = array_of(grown[0]) if grown else None
    book = Book(len(reference.outputs), *_uses(reference, in_graph))
    calls = list(reference.calls)
    chain = _chain(reference.model, reference)
    if chain is not None:
        _work_out_chain(chain, reference, closing, book)
    else:
        reference.calls = calls
        _work_out_calls(reference, closing, book)
    return Ledger(book.entries, _title(model, book.rows), _notes(book, training, chain is None))


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
        foreign = isinstance(layer_of(call, call.input.ndim), Foreign)
        for parameter in call.module.parameters(recurse=False):
            if foreign:
                elsewhere.add(id(parameter))
            else:
                uses[id(parameter)] += 1
    # Code between the modules may use a parameter too.
    return uses, elsewhere | {key for key, count in uses.items() if in_graph[key] > count}


def _work_out_chain(
    layers: list[ByHand], reference: Reference, closing: Closing, book: Book
) -> None:
    flow = _write_inputs(reference, book)
    for layer in layers:
        flow = layer.forward(flow, book)
    closing.forward(flow, book)
    gradient = closing.backward(book)
    for layer in reversed(layers):
        gradient = layer.backward(gradient, book)


def _work_out_calls(reference: Reference, closing: Closing, book: Book) -> None:
    """Each call by itself, its inputs and the gradient of its outputs being autograd's."""
    first = _write_inputs(reference, book)
    symbols: dict[int, Symbol] = {}
    layers: list[ByHand] = []
    count = 0
    for call in reference.calls:
        if call.input is None or any(True for _ in call.module.children()):
            continue
        layer = layer_of(call, call.input.ndim)
        symbol = symbols.get(id(call.input))
        if symbol is None:
            symbol = first.symbol if not layers else _write_given(call, book, count)
        flow = layer.forward(Flow(symbol, array_of(call.input), count), book)
        count = flow.layer
        symbols[id(call.output)] = flow.symbol
        layers.append(layer)
    last = symbols.get(id(reference.outputs))
    if last is None:
        last = book.symbol("Z", count + 1)
        value = array_of(reference.outputs)
        book.write(last, value, "", value, by_hand=False, note="the model's outputs")
    closing.forward(Flow(last, array_of(reference.outputs), count), book)
    closing.backward(book)
    written = {entry.name for entry in book.entries}
    for layer in reversed(layers):
        gradient = layer.call.output_gradient
        if gradient is None:
            continue
        if layer.after.gradient_name not in written:
            note = "autograd's: what all that use it send back"
            book.write_gradient(layer.after, gradient, "", gradient, by_hand=False, note=note)
        written.add(layer.after.gradient_name)
        layer.backward(gradient, book)
        written.add(layer.before.gradient_name)


def _write_inputs(reference: Reference, book: Book) -> Flow:
    value = array_of(reference.inputs)
    book.write(book.symbol("X"), value, "", None, by_hand=False, note="the inputs")
    return Flow(Symbol("X"), value)


def _write_given(call: Call, book: Book, count: int) -> Symbol:
    """An input that no module gave: the model's own code worked it out."""
    assert call.input is not None
    symbol, value = book.symbol("H", count), array_of(call.input)
    where = f"{call.name} ({type(call.module).__name__})"
    note = "what this module is given, worked out by code between the modules"
    book.write(symbol, value, "", value, module=where, by_hand=False, note=note)
    return symbol


def _chain(module: nn.Module, reference: Reference) -> list[ByHand] | None:
    """The layers of a Sequential in order, or None if the model is no chain of modules."""
    if type(module) is nn.Sequential:
        layers: list[ByHand] = []
        for child in module._modules.values():
            inner = None if child is None else _chain(child, reference)
            if inner is None:
                return None
            layers += inner
        return layers
    if type(module) is ResidualModule and not (module.training and module.stochastic_depth):
        block = _chain(module.block, reference)
        return None if block is None else [Residual(reference.of(module), block)]
    if any(True for _ in module.children()):
        # Its inside is not known to be a chain: one layer, whose numbers are autograd's, if it is
        # part of one, and none at all if it is the model.
        return [Foreign(reference.of(module))] if module is not reference.model else None
    call = reference.of(module)
    return [layer_of(call, 0 if call.input is None else call.input.ndim)]


def range_kept(model: nn.Module, outputs: Tensor, *inputs: Tensor) -> Range | None:
    """The range that the outputs keep, found on a copy; None where graph and numbers agree."""
    if outputs.ndim not in (1, 2) or len(inputs) != 1 or is_plain_to_see(outputs):
        return None
    with process_state():
        return lasting_range(copy.deepcopy(model).eval(), inputs[0].detach())


def objective_of(
    outputs: Tensor, y: Any, loss: str, lasting: Range | None
) -> tuple[Objective, NDArray[np.int64]]:
    """The objective and checked targets for these outputs."""
    targets = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if outputs.ndim not in (1, 2):
        raise ModelError(
            f"the model must give (N, C) or (N,) outputs, but gives {tuple(outputs.shape)}"
        )
    width = 1 if outputs.ndim == 1 else outputs.shape[1]
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.shape[:1] != (len(outputs),) or targets.ndim > 2:
        raise TargetError(
            f"y must have one target for each of the {len(outputs)} rows, but has shape "
            f"{targets.shape}"
        )
    if not np.issubdtype(targets.dtype, np.number) and targets.dtype != bool:
        raise TargetError(f"y must be class indices 0, 1, ..., but is of {targets.dtype}")
    several = loss == "multilabel"
    if targets.ndim == 2 and not several:
        row = not_one_hot(targets)
        if row is not None and (loss != "auto" or not np.isin(targets, (0, 1)).all()):
            raise TargetError(f"row {row} of y is {targets[row].tolist()}, which is not one-hot")
        several = row is not None
        targets = targets if several else targets.argmax(axis=1)
    classes = 2 if width == 1 else width
    objective = Objective.of_outputs(outputs, classes, several=several, lasting=lasting)
    if loss not in ("auto", objective.kind):
        raise ModelError(f"loss {loss!r} does not fit outputs of shape {tuple(outputs.shape)}")
    classes = 2 if objective.kind != "multiclass" else width
    wrong = (targets < 0) | (targets >= classes) | (targets % 1 != 0)
    if several and targets.shape != tuple(outputs.shape):
        raise TargetError(f"y has shape {targets.shape}, the outputs {tuple(outputs.shape)}")
    if wrong.any():
        row = int(np.argwhere(wrong)[0, 0])
        raise TargetError(
            f"the target of row {row} is {targets[row]}, but must be one of 0 .. {classes - 1}"
        )
    return objective, targets.astype(np.int64)


def _title(model: nn.Module, rows: int) -> str:
    return f"backpropagation through {type(model).__name__}, N = {rows}"


def _notes(book: Book, training: bool, by_calls: bool) -> list[str]:
    notes = [f"{'training' if training else 'evaluation'} mode; everything in float64"]
    if any(entry.name.startswith("dL/dW") for entry in book.entries):
        notes.append("W is out × in, as torch and the lecture keep it: Z = X Wᵀ + b")
    if by_calls:
        notes.append(
            "the model is no torch.nn.Sequential: each layer is worked out from the inputs and "
            "the gradient of its outputs that autograd gives"
        )
    return notes
