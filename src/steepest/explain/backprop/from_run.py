"""The ledger of a trained run on some rows."""

from typing import Any

import numpy as np

from steepest.errors import RunError
from steepest.explain.backprop.ledger import Ledger, backprop
from steepest.run import Run


def backprop_of_run(
    run: Run, rows_of: Any = None, *, target: str | None = None, rows: int = 4
) -> Ledger:
    """The ledger of a run's net on labelled rows, prepared as in training.

    Args:
        run: A trained run.
        rows_of: A path, a name, a frame, (X, y) or Samples; None for the data of the recipe.
        target: The column of the class, by default the one trained on.
        rows: How many rows are explained, the first ones.

    Returns:
        The ledger, with the run's own loss.

    Raises:
        RunError: The run's recipe names no data, or there is no row.
    """
    source = rows_of if rows_of is not None else run.recipe.data
    if source is None:
        raise RunError("this run was not trained on a file or a name: pass the rows to explain")
    samples = run.classifier.read(source, target=target or run.recipe.target, labelled=True)
    count = min(rows, len(samples))
    if count < 1:
        raise RunError(
            f"there are {len(samples)} rows and {rows} were asked for: no row to explain"
        )
    inputs, targets, _ = run.classifier.prepare(samples.take(np.arange(count)))
    x = inputs.array[:count] if inputs.rows is None else inputs.array[inputs.rows]
    fed = x if x.dtype == np.int64 else inputs.block(0, count)
    kind = run.classifier.objective.kind
    return backprop(run.classifier.model, fed, targets, task=kind)
