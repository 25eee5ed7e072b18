"""One training on the clock: python work.py, a JSON request on stdin, a JSON line out."""

import contextlib
import json
import os
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.pop(1)  # this folder, whose names are modules of this package alone

from speedrun.contestants import CONTESTANTS, Sizes, find_contestant
from speedrun.data import read
from speedrun.goals import GOALS


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Seconds and accuracy of one contestant with one seed."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, request["processors"])
    goal, name = GOALS[request["goal"]], request["contestant"]
    train_part, test_part = read(goal.data, request["data"])
    sizes = Sizes(
        len(train_part.images), train_part.images.shape[1:], int(train_part.labels.max()) + 1
    )
    facts = {"version": _version(name), "load": os.getloadavg()[0]}
    try:
        since = time.perf_counter()
        train = find_contestant(name)(goal.entry_of(name), sizes, request["threads"])
        compiled = time.perf_counter() - since
        since, used = time.perf_counter(), time.process_time()
        predict = train(train_part.images, train_part.labels, request["seed"])
        seconds, used = time.perf_counter() - since, time.process_time() - used
        accuracy = float((predict(test_part.images) == test_part.labels).mean())
    except Exception as error:  # a peer's own failure is a result
        return {**facts, "status": "failed", "error": f"{type(error).__name__}: {error}"[:500]}
    return {
        **facts,
        "status": "done",
        "accuracy": accuracy,
        "seconds": seconds,
        "processor_seconds": used,
        "compile_seconds": compiled,
    }


def _version(contestant: str) -> str | None:
    if contestant in CONTESTANTS:
        with contextlib.suppress(PackageNotFoundError):
            return version(CONTESTANTS[contestant][1])
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no part of the answer
    json.dump(measure(asked), answer)
