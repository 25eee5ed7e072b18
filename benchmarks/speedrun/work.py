"""One training on the clock: python work.py, a JSON request on stdin, a JSON line out."""

import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.pop(1)  # this folder, whose names are modules of this package alone

from contenders import answer, failure
from speedrun.contestants import Sizes, find_contestant, version_of
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
    facts = {"version": version_of(name), "load": os.getloadavg()[0]}
    try:
        since = time.perf_counter()
        train = find_contestant(name)(goal.entry_of(name), sizes, request["threads"])
        compiled = time.perf_counter() - since
        since, used = time.perf_counter(), time.process_time()
        predict = train(train_part.images, train_part.labels, request["seed"])
        seconds, used = time.perf_counter() - since, time.process_time() - used
        accuracy = float((predict(test_part.images) == test_part.labels).mean())
    except Exception as error:  # a peer's own failure is a result
        return facts | failure(error)
    return {
        **facts,
        "status": "done",
        "accuracy": accuracy,
        "seconds": seconds,
        "processor_seconds": used,
        "compile_seconds": compiled,
    }


if __name__ == "__main__":
    answer(measure)
