"""Whether each program is what it says: the fault harms, the repair cures, the twin is healthy.

    python tests/faults/admission.py [--only P05,D03] [--seeds 5] [--write]

A fault is harmful if over the seeds
- the median reported validation accuracy differs from the twin's by 5 points or more, and the
  seeds' ranges do not overlap; or
- it needs 3 times the twin's steps, or more, to 90 % of the twin's final accuracy; or
- its reported validation loss is 1.5 times the twin's or more; or
- where it says that it harms the memory, the graphs hold 10 MB more at once than the twin's, and twice
  as much.
The repair registered for its code must close 80 % of the gap in the figure that showed the harm.
A twin and a control must end within 3 points of their best epoch, and above the majority class.
--write keeps the results in admission.json.
"""

import argparse
import json
import math
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor

from faults.case import Outcome, run
from faults.programs import Program, programs
from faults.repairs import fixed, repaired

RESULTS = Path(__file__).with_name("admission.json")


def admit(program: Program, seeds: int = 5) -> dict[str, Any]:
    """The figures of one program, and `admitted`."""
    healthy = [run(program.case(s, healthy=True), seed=s) for s in range(seeds)]
    result = {"title": program.title, "healthy": _figures(healthy)}
    sane = result["healthy"]["below_best"] <= 0.03
    if program.fault is None:
        return result | {"admitted": sane and not result["healthy"]["errors"]}
    faulty = [run(program.case(s), seed=s) for s in range(seeds)]
    if program.fault.harm == "memory":
        return result | _of_memory(program, seeds, faulty, sane)
    by_fix = repair_of(program) == "fix"
    # The author's edit makes the twin, whose runs are there already.
    cured = [_cure(program, s) for s in range(seeds)] if by_fix else healthy
    harm = {
        kind: gap
        for kind, gap in _gaps(faulty, healthy).items()
        if kind != "accuracy" or _apart(faulty, healthy)
    }
    closed = {kind: round(_closed(kind, faulty, cured, healthy), 3) for kind in harm}
    admitted = bool(harm) and all(share >= 0.8 for share in closed.values())
    return result | {
        "truth": program.fault.truth,
        "repair": repair_of(program),
        "faulty": _figures(faulty),
        "repaired": _figures(cured),
        "harm": harm,
        "gap closed": closed,
        "admitted": admitted and (sane or bool(program.fault.also)),
    }


def _of_memory(program: Program, seeds: int, faulty: list[Outcome], sane: bool) -> dict[str, Any]:
    """What the graphs hold with the fault and with the twin, which is the repair."""
    assert program.fault
    grown = [
        statistics.median(_grown(program, seed, healthy) for seed in range(seeds))
        for healthy in (True, False)
    ]
    harmful = grown[1] - grown[0] >= 10 and grown[1] >= 2 * grown[0]
    return {
        "truth": program.fault.truth,
        "repair": repair_of(program),
        "faulty": _figures(faulty),
        "repaired": {},
        "harm": {"megabytes": round(grown[1], 1), "of the twin": round(grown[0], 1)},
        "gap closed": {"megabytes": 1.0},
        "admitted": harmful and sane,
    }


class _Saved:
    """A tensor that a graph has saved for its backward pass; memory that several share counts once."""

    holders: ClassVar[Counter[int]] = Counter()  # by the address of the memory
    now = most = 0  # bytes of all of them

    def __init__(self, tensor: Tensor) -> None:
        memory = tensor.untyped_storage()
        self.tensor, self.address, self.size = tensor, memory.data_ptr(), memory.nbytes()
        if not _Saved.holders[self.address]:
            _Saved.now += self.size
            _Saved.most = max(_Saved.most, _Saved.now)
        _Saved.holders[self.address] += 1

    def __del__(self) -> None:
        _Saved.holders[self.address] -= 1
        if not _Saved.holders[self.address]:
            _Saved.now -= self.size


def _grown(program: Program, seed: int, healthy: bool) -> float:
    """The most megabytes of saved tensors that live at once in a run."""
    case, _Saved.now, _Saved.most = program.case(seed, healthy), 0, 0
    _Saved.holders.clear()
    with torch.autograd.graph.saved_tensors_hooks(_Saved, lambda saved: saved.tensor):
        run(case, seed=seed)
    return _Saved.most / 2**20


def repair_of(program: Program) -> str:
    """Who mends it: the fix for its code as a program applies it, or the author by the twin.

    The author's edit closes the gap by definition; the 80 % say something about fixes only.
    """
    assert program.fault
    by_fix = fixed(program.case(0), program.fault.truth) is not None
    return "fix" if by_fix else "author's edit"


def _cure(program: Program, seed: int) -> Outcome:
    assert program.fault
    case = repaired(program.case(seed), program.case(seed, True), program.fault.truth, right=True)
    return run(case, seed=seed) if case else Outcome(error="no repair")


def _figures(outcomes: list[Outcome]) -> dict[str, Any]:
    best = [max((s.accuracy for s in o.scores), default=0.0) for o in outcomes]
    below = [b - o.last.accuracy for b, o in zip(best, outcomes, strict=True)]
    return {
        "accuracy": [round(o.last.accuracy, 4) for o in outcomes],
        "loss": [round(o.last.loss, 4) if math.isfinite(o.last.loss) else None for o in outcomes],
        "below_best": round(statistics.median(below), 4),
        "errors": [o.error for o in outcomes if o.error],
    }


def _accuracy(outcomes: list[Outcome]) -> float:
    return statistics.median(o.last.accuracy for o in outcomes)


def _loss(outcomes: list[Outcome]) -> float:
    return statistics.median(min(o.last.loss, 1e9) for o in outcomes)


def _slowness(outcomes: list[Outcome], healthy: list[Outcome]) -> float:
    """Median steps to 90 % of the twin's final accuracy, in the twin's."""
    goals = [0.9 * o.last.accuracy for o in healthy]
    twin = statistics.median(o.steps_to(g) for o, g in zip(healthy, goals, strict=True))
    return statistics.median(o.steps_to(g) for o, g in zip(outcomes, goals, strict=True)) / twin


def _apart(one: list[Outcome], other: list[Outcome]) -> bool:
    a, b = ([o.last.accuracy for o in outcomes] for outcomes in (one, other))
    return max(a) < min(b) or max(b) < min(a)


def _gaps(faulty: list[Outcome], healthy: list[Outcome]) -> dict[str, float | str]:
    gaps: dict[str, float | str] = {}
    points = abs(_accuracy(faulty) - _accuracy(healthy))
    if points >= 0.05:
        gaps["accuracy"] = round(points, 4)
    slow = _slowness(faulty, healthy)
    if slow >= 3:
        gaps["steps"] = round(slow, 2) if math.isfinite(slow) else "never"
    if _loss(faulty) >= 1.5 * _loss(healthy):
        gaps["loss"] = round(_loss(faulty) / _loss(healthy), 3)
    return gaps


def _closed(
    kind: str, faulty: list[Outcome], cured: list[Outcome], healthy: list[Outcome]
) -> float:
    """Share of the gap that the repair closed; more than 1 if it ends better than the twin."""
    if kind == "steps":
        slow, mended = _slowness(faulty, healthy), _slowness(cured, healthy)
        if math.isinf(slow):
            return 1.0 if mended < 3 else 0.0
        return (slow - mended) / (slow - 1)
    figure = _accuracy if kind == "accuracy" else _loss
    start, end, goal = figure(faulty), figure(cured), figure(healthy)
    return (end - start) / (goal - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if options.write and RESULTS.exists() else {}
    for program in programs(only=filter(None, options.only.split(","))):
        result = results[program.name] = admit(program, options.seeds)
        print(
            program.name,
            "admitted" if result["admitted"] else "NOT ADMITTED",
            *(f"{key}={result[key]}" for key in ("harm", "gap closed") if key in result),
            f"below best {result['healthy']['below_best']:.3f}",
            *result["healthy"]["errors"][:1],
            flush=True,
        )
        if options.write:
            RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
