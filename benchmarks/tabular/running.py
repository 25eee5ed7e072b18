"""All fits that are not in the results file yet, each in a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tabular.results import Key, Line, append, read

WORK = Path(__file__).with_name("work.py")
# Whoever reads these makes no more threads than it is told to.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def missing(wanted: list[Key], results: Path, retry: bool) -> list[Key]:
    """Those of `wanted` without a line; with `retry`, those whose line has no figures too."""
    have = {k for k, line in read(results).items() if not retry or line["status"] == "done"}
    return [k for k in wanted if k not in have]


def run_all(
    keys: list[Key], results: Path, request: dict[str, Any], conditions: Line, limit: float
) -> Iterator[Line]:
    """Fit one after the other and write each line down before the next begins.

    Args:
        keys: What to run.
        results: The file that gets a line for each.
        request: What every fit is told besides: where the data lie, sizes, threads.
        conditions: What every line says besides.
        limit: Seconds of the wall clock for one fit with its prediction.
    """
    for table, number, method in keys:
        asked = {"table": table, "split": number, "method": method, **request, **conditions}
        found = run_one(asked, limit)
        line = {"table": table, "split": number, "method": method, **conditions, **found}
        if found["status"] != "absent":  # it may be installed later
            append(results, line)
        yield line


def run_one(request: dict[str, Any], limit: float, work: Path = WORK) -> Line:
    """One fit in a new process, killed with its children at `limit` seconds.

    Args:
        request: What the program is told, as JSON: `threads` and whatever else it needs.
        limit: Seconds of the wall clock.
        work: The program, which answers with a line of JSON.
    """
    environment = {**os.environ, **dict.fromkeys(THREADS, str(request["threads"]))}
    since = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(work)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(json.dumps(request), timeout=limit)
    except subprocess.TimeoutExpired:
        _end(process)
        process.communicate()
        return {"status": "timeout", "error": f"more than {limit:g} s"}
    finally:
        _end(process)
    try:
        line: Line = json.loads(out)
    except ValueError:
        said = err.strip().splitlines()[-1:] or ["nothing was printed"]
        reason = f"the process ended with {process.returncode}: {said[0]}"
        return {"status": "failed", "error": reason[:500]}
    return {**line, "total_seconds": time.perf_counter() - since}


def _end(process: subprocess.Popen[str]) -> None:
    """Kill whatever is left of the fit's session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
