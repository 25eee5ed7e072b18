"""One fit, in a process of its own: python work.py, a JSON request on stdin, a JSON line out."""

import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.pop(1)  # this folder, whose names are modules of this package alone

from contenders import answer, failure
from tabular.methods import find_method, version_of
from tabular.scores import scores
from tabular.splits import split
from tabular.tables import find_tables


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """What this fit took and how good it is; `status` says why there are no figures."""
    method_name, number = request["method"], request["split"]
    folder = Path(request["data"]) if request["data"] else None
    table = find_tables(folder, request["target"])[request["table"]]()
    train, test = split(
        table.y, number, max_train=request["max_train"], max_test=request["max_test"]
    )
    X, y, X_test = table.X.iloc[train], table.y[train], table.X.iloc[test]
    X, X_test = X.reset_index(drop=True), X_test.reset_index(drop=True)
    facts = {
        "version": version_of(method_name),
        "rows": len(train),
        "columns": table.X.shape[1],
        "classes": len(table.classes),
    }
    try:
        method = find_method(method_name)
    except ImportError as error:
        return {**facts, "status": "absent", "error": str(error)}
    try:
        before, since = _processor_seconds(), time.perf_counter()
        predict = method(X, y, len(table.classes), number, request["threads"])
        fitted, wall = _processor_seconds(), time.perf_counter() - since
        found = scores(predict(X_test), table.y[test])
    except Exception as error:  # a peer's own failure is a result
        return facts | failure(error)
    return {
        **facts,
        "status": "done",
        **found,
        "fit_seconds": fitted - before,
        "predict_seconds": _processor_seconds() - fitted,
        "fit_wall_seconds": wall,
        "memory_mib": _peak_mib(),
    }


def _processor_seconds() -> float:
    """Of this process and of those it has waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _peak_mib() -> float:
    """The largest resident size so far, with the libraries: of this process or of a child."""
    # ru_maxrss of a forked process begins with its parent's size; /proc tells its own.
    status = Path("/proc/self/status")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        own = int(peak.split()[1]) * 2**10
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return max(own, child) / 2**20


if __name__ == "__main__":
    answer(measure)
