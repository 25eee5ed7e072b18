"""Sweeps as `sweep` would leave them, of numbers that a test gives: nothing is trained."""

import json
import math

import steepest as sp
from steepest.run import EpochFinished
from steepest.sweeps import Space
from steepest.sweeps.record import RunRow, SweepRecord


def made_sweep(space, points, value, *, seeds=2, epochs=4, metric="val_loss", recipe=None):
    """A sweep in memory.

    value: of a point and a seed, the metric; None for a run that diverged, "pruned" for one that
    was ended, "missing" for one that is still to be trained.
    """
    space = Space.of(space)
    points = list(space.grid()) if points is None else list(points)
    record = SweepRecord.create(None)
    facts = {
        "recipe": (recipe or sp.Recipe(data="digits", epochs=epochs)).to_toml(),
        "space": space.to_json(), "seeds": list(range(seeds)), "sampler": "grid", "trials": None,
        "pruner": "none", "metric": metric, "keep_best": 1, "data": "0",
    }  # fmt: skip
    record.put_facts(json.loads(json.dumps(facts)))
    record.put_trials(0, points)
    plan = [(i, k, f"{i:08x}{k:08x}") for i in range(len(points)) for k in range(seeds)]
    record.put_plan(plan)
    for trial, seed, name in plan:
        found = value(points[trial], seed)
        if found != "missing":
            record.put_run(*run_of(name, found, epochs, metric))
    record.commit()
    return sp.Sweep(record, None)


def run_of(name, found, epochs, metric):
    if found is None:
        return RunRow(name, "diverged", "the loss became nan at step 3", 0, 3), []
    if found == "pruned":
        return RunRow(name, "pruned", "after 1 epochs its val_loss was the 9. of 9", 1, 10), []
    loss = -found if metric.endswith("acc") else found
    history = [
        EpochFinished(e, 10 * (e + 1), 0.8 * course, 0.5, course, 0.5, 0.1, 0.01)
        for e in range(epochs)
        for course in [loss + math.exp(-e) * abs(loss)]
    ]
    row = RunRow(
        name, "finished", None, epochs, 10 * epochs, 0.8 * loss, 0.5, best_epoch=epochs - 1,
        best_val_loss=loss, **{"val_loss": loss, "val_acc": 0.5, metric: found},
    )  # fmt: skip
    return row, history
