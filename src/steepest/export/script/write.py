"""write_script: a run as a plain PyTorch file that trains the same net with the same losses."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from steepest.errors import RunError
from steepest.export.script.compose import Section, compose
from steepest.export.script.data import DataWriter
from steepest.export.script.net import NetWriter
from steepest.export.script.pieces import layers, randomness
from steepest.export.script.pieces import training as loop
from steepest.export.script.refusals import require_built, require_written, require_written_loop
from steepest.export.script.schedule import ScheduleWriter
from steepest.export.script.training import TrainingWriter
from steepest.files import write_atomically
from steepest.run import Run
from steepest.training.preparation import Preparation, prepare

# Of numbers in float32 that were computed in another order.
_CLOSE = 1e-6
_SUMMARY = """A classifier in plain PyTorch, trained as in the run that this file was written from.

It prints the losses of each epoch, which are the run's but for rounding."""


def write_script(run: Run, path: Path) -> dict[str, Any]:
    """Write the script, after its data and its first weights were compared with the run's.

    Args:
        run: Finished, of one net that its recipe describes, trained on a file or a named data set.
        path: The file.

    Raises:
        SteepestError: The run is none of which a script can be written; the message says why.
    """
    text, prepared = script_of(run)
    rows = _require_same(run, prepared, text)
    write_atomically(path, text.encode())
    return {"format": "script", "path": str(path), "rows_compared": rows}


def script_of(run: Run) -> tuple[str, Preparation]:
    """The text, and what it was made from."""
    require_written(run)
    dtype = next(run.model.parameters()).dtype
    with _default(dtype):
        prepared = prepare(None, None, run.recipe.replace(device=None))
    require_built(run, prepared)
    plan, double = prepared.plan, dtype == torch.float64
    assert isinstance(plan.model, torch.nn.Sequential)
    net = NetWriter(plan.model)
    require_written_loop(prepared)
    data = DataWriter(prepared, str(dtype).removeprefix("torch."))
    schedule = ScheduleWriter(plan, prepared.lr, found=plan.recipe.lr == "auto")
    training = TrainingWriter(plan, net, schedule, validation="validation" in prepared.parts)
    sections = (
        Section("Random numbers, as a function of the seed", (randomness,), ()),
        Section("Data", data.pieces, data.code),
        Section("Net", (layers,), net.code),
        Section("Training", (loop,), training.code),
    )
    settings = {**data.constants, "SEED": (plan.recipe.seed, ""), **training.constants}
    end = "\n".join(_main(prepared, double))
    return compose(_SUMMARY, settings, sections, end), prepared


def _main(prepared: Preparation, double: bool) -> Iterator[str]:
    yield "def main() -> None:"
    if double:
        yield "    torch.set_default_dtype(torch.float64)"
    yield "    data, net = load_data(), make_net()"
    yield "    train(net, data)"
    held_out = [name for name in ("validation", "test") if name in prepared.parts]
    if held_out:
        names = ", ".join(f'"{name}"' for name in held_out) + "," * (len(held_out) == 1)
        yield f"    for part in ({names}):"
        yield "        loss, accuracy = evaluate(net, *data[part])"
        yield '        print(f"{part}: loss {loss:.8g}, accuracy {accuracy:.8g}")'
    yield ""
    yield ""
    yield 'if __name__ == "__main__":'
    yield "    main()"


def _require_same(run: Run, prepared: Preparation, text: str) -> int:
    """Run the script up to its first step; how many rows were compared. Raises RunError."""
    made: dict[str, Any] = {"__name__": "script"}
    parameters = next(run.model.parameters())
    with _default(parameters.dtype):
        exec(compile(text, "script", "exec"), made)
        data, net = made["load_data"](), made["make_net"]()
    rows = 0
    for name, part in prepared.parts.items():
        X, y = data[name]
        expected = part.inputs.block(0, len(part.inputs))
        same = X.shape == expected.shape and np.allclose(X, expected, rtol=_CLOSE, atol=_CLOSE)
        if not same or not np.array_equal(y, part.targets):
            raise RunError(
                f"a script would not read the {name} rows of {run.recipe.data} as the run did, so "
                "none was written; save them as NPZ or as CSV without blanks and train on that"
            )
        rows += len(y)
    first, weights = net.state_dict(), prepared.plan.model.state_dict()
    same = first.keys() == weights.keys()
    if not same or not all(torch.equal(first[name], value) for name, value in weights.items()):
        raise RunError("a script would begin with other weights than the run, so none was written")
    return rows


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """Within the block new tensors are of this type, as the run's net is."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
