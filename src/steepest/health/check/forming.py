"""How batches are read from a loader, taken apart, and shown to the model and the loss."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.failures import Failure
from steepest.health.clock import Clock
from steepest.health.foreign import is_foreign, swallow
from steepest.health.replay.batches import (
    Batch,
    Form,
    LoaderSample,
    WeightedRows,
    forms,
    read,
)
from steepest.health.replay.replay import Setup, first_tensor

_ROWS = 256  # of the sample
_FEW = 8  # rows of the first batch on which it is tried how the model and the loss are called


def read_part(
    loader: Any, name: str, most: int, seconds: float, left_out: list[str], *, again: bool = False
) -> LoaderSample:
    try:
        part = read(loader, most, _ROWS, seconds, again=again)
    except Exception as error:  # anybody's dataset, sampler and collate function
        swallow(error)
        part = LoaderSample(problem=f"reading it raised {type(error).__name__}: {error}")
    if part.problem and not (loader is None and name == "validation data"):
        left_out.append(f"the {name}: {part.problem}")
    if part.waited:
        read_so_far = f"{len(part.batches)} minibatches were read"
        left_out.append(f"more of the {name}: it took too long after {read_so_far}")
    return part


class Forming(NamedTuple):
    """How batches are taken apart; None if the first one holds no targets.

    tried: the rows on which it was tried, a few of the first batch, or all where the model takes no
    fewer. seconds: that a forward pass of them took. failure: why none worked, of all rows.
    """

    form: Form | None
    tried: Batch
    seconds: float = 0.0
    failure: Failure | None = None


def form_of(setup: Setup, raw: Any, device: torch.device, clock: Clock) -> Forming:
    """How batches are taken apart, and how the loss is called: the first way that works."""
    ways = forms(raw, setup.model)
    first: Failure | None = None
    for form in ways:
        batch = form(raw).to(device)
        for unpack in (False, True):
            setup.unpack = unpack
            failure = None
            for some in _some_rows(batch):
                before = clock.spent()
                failure = trial(setup, some)
                if failure is None:
                    return Forming(form, some, clock.spent() - before)
            assert failure is not None
            first = first or failure
            if failure.stage == "forward":
                break
    setup.unpack = False
    if not ways:
        return Forming(None, Batch((), None))
    return Forming(ways[0], ways[0](raw).to(device), failure=first)


def _some_rows(batch: Batch) -> Iterator[Batch]:
    """A few rows, and all of them for a model that takes no fewer."""
    if batch.rows > _FEW:
        yield batch.take(slice(0, _FEW))
    yield batch


def trial(setup: Setup, batch: Batch) -> Failure | None:
    """What a forward pass and the loss raise on a copy; None if nothing."""
    clone = replace(setup, optimizers=()).copy()
    assert clone is not None
    stage = "forward"
    try:
        clone.model.train()
        seed_generators(0)
        output = clone.outputs(batch)
        if first_tensor(output) is None:
            return Failure(stage, TypeError(f"the model returned a {type(output).__name__}"))
        stage = "loss"
        clone.loss_of(output, batch.target, batch.weights)
    except Exception as error:
        if not is_foreign(error):
            raise
        return Failure(stage, error)
    return None


def materialise(setup: Setup, batch: Batch) -> None:
    """Give lazy layers of the copy their shapes."""
    if any(isinstance(p, nn.UninitializedParameter) for p in setup.model.parameters()):
        with torch.no_grad():
            setup.outputs(batch)


def in_form(raws: Sequence[Any], form: Form, device: torch.device) -> list[Batch]:
    batches = []
    for raw in raws:
        try:
            batches.append(form(raw).to(device))
        except (LookupError, TypeError):  # of another form than the first
            continue
    return batches


def sample_of(
    part: LoaderSample, form: Form, device: torch.device, batches: Sequence[Batch]
) -> Batch:
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
    joined = (torch.cat(parts)[:_ROWS] for parts in zip(*some, strict=True))
    return type(first)(*joined) if isinstance(first, WeightedRows) else tuple(joined)
