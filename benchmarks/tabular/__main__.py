"""Classifiers of tables side by side, each with its defaults: python benchmarks/tabular.

    python benchmarks/tabular --data folder/of/parquet [--methods steepest,catboost] [--splits 3]

Without --data: scikit-learn's bundled sets. Each fit runs in a process of its own with a time
limit; its line in the results file is written before the next begins, and what is there is not run
again, so the command goes on where it was stopped. Methods that are not installed are named.
Then: mean ranks, means, a critical-difference plot, wins and losses table by table.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.pop(1)  # this folder, whose names are modules of this package alone

from tabular.methods import METHODS, absence
from tabular.picture import draw
from tabular.ranks import comparisons
from tabular.report import against, failures, summary
from tabular.results import Key, Line, read, require_same_conditions
from tabular.running import missing, run_all
from tabular.tables import find_tables


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/tabular",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="folder of .parquet and .csv files")
    parser.add_argument("--target", help="column of the class; else target, label, class or y")
    parser.add_argument("--tables", help="only these, a,b")
    parser.add_argument("--methods", help="only these, a,b; also module:function")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=3750, help="training rows; 0 for all")
    parser.add_argument("--max-test", type=int, default=5000, help="test rows; 0 for all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=600, help="seconds of a fit")
    parser.add_argument("--retry", action="store_true", help="run again what had no figures")
    parser.add_argument("--results", type=Path, default=Path("tabular.jsonl"))
    parser.add_argument("--plot", type=Path, default=Path("tabular.svg"))
    parser.add_argument("--ours", default="steepest", help="whose wins and losses are listed")
    parser.add_argument("--report", action="store_true", help="run nothing, show what is there")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    conditions: Line = {
        "threads": asked.threads,
        "max_train": asked.max_train or None,
        "max_test": asked.max_test or None,
    }
    require_same_conditions(read(asked.results).values(), conditions, asked.results)
    if not asked.report:
        tables = chosen(asked.tables, find_tables(asked.data, asked.target), "table")
        methods = installed(asked.methods.split(",") if asked.methods else [*METHODS])
        # A split of all tables before the next: what was stopped early compares all it can.
        wanted = [(t, k, m) for k in range(asked.splits) for t in tables for m in methods]
        run(wanted, asked, conditions)
    lines = read(asked.results)
    show({key: line for key, line in lines.items() if is_asked_for(key, asked)}, asked)


def is_asked_for(key: Key, asked: argparse.Namespace) -> bool:
    table, number, method = key
    return (
        number < asked.splits
        and (not asked.tables or table in asked.tables.split(","))
        and (not asked.methods or method in asked.methods.split(","))
    )


def chosen(names: str | None, known: Iterable[str], what: str) -> list[str]:
    known = [*known]
    picked = names.split(",") if names else known
    if unknown := [name for name in picked if name not in known]:
        raise SystemExit(f"there is no {what} {unknown[0]}; there are {', '.join(known)}")
    return picked


def installed(names: list[str]) -> list[str]:
    """Those whose packages are here; the others are named, with the reason."""
    reasons = {name: absence(name) for name in names}
    for name, reason in reasons.items():
        if reason:
            print(f"not measured: {name} ({reason})")
    return [name for name, reason in reasons.items() if reason is None]


def run(wanted: list[Key], asked: argparse.Namespace, conditions: Line) -> None:
    keys = missing(wanted, asked.results, asked.retry)
    data = str(asked.data.resolve()) if asked.data else None
    request = {"data": data, "target": asked.target}
    print(f"{len(wanted) - len(keys)} of {len(wanted)} fits are in {asked.results}")
    done = run_all(keys, asked.results, request, conditions, asked.limit)
    for number, line in enumerate(done, 1):
        figures = (
            f"log loss {line['log_loss']:.4f}, accuracy {line['accuracy']:.4f}, "
            f"{line['fit_seconds']:.1f} s"
            if line["status"] == "done"
            else f"{line['status']}: {line.get('error')}"
        )
        place = f"{line['table']} {line['split']} {line['method']}"
        print(f"{number}/{len(keys)} {place}: {figures}", flush=True)


def show(lines: dict[Key, Line], asked: argparse.Namespace) -> None:
    compared = comparisons(lines)
    if not compared:
        print("nothing to compare yet: that takes two methods on one table")
        return
    for comparison in compared:
        print(*summary(comparison), "", sep="\n")
    told = {asked.ours}
    for comparison in compared:
        if asked.ours in comparison.methods:
            print(*against(comparison, asked.ours, {*comparison.methods} - told), sep="\n")
            told |= {*comparison.methods}
    print(*failures(lines), sep="\n")
    draw(compared[0], asked.plot)
    print(f"critical-difference plot: {asked.plot}")


if __name__ == "__main__":
    main()
