"""Score `sp.check` and `sp.watch` on the fault programs, their twins and the controls.

    python tests/faults/score.py [--public] [--variants] [--controls] [--unseen] [--outside]
                                 [--only P05,C03] [--seeds 3] [--json scores.json]
                                 [--no-check] [--no-watch] [--quiet]
    python tests/faults/score.py --large [--only RESNET,LSTM-maximized] [--seeds 1] [--seconds 0]
    python tests/faults/score.py --pairs|--triples [--only rate,clear+sign] [--seeds 1]

Without a group: all but the large ones, of which `sp.check` alone is judged, and those with several
faults (`pairs`), of which a table is printed. A line per run: what was printed first against the truth, at which step the
right code came, whether the fix for the printed code cures, and what else was actionable.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from faults.judge import Steepest, Tool, Verdict, as_json, judge, totals
from faults.large.programs import figures, line_of, score_large
from faults.pairs import scoring as together
from faults.programs import GROUPS, programs


def line(v: Verdict) -> str:
    """One run in one line."""
    name = f"{v.program}{' twin' if v.healthy and v.truth else ''}"
    if v.healthy:
        verdict = "ALARM" if v.actionable else "silent"
        told = " ".join(v.actionable) + (f"  {v.message}" if v.actionable else "")
    else:
        verdict = "right" if v.right else "WRONG" if v.detected else "MISSED"
        cure = "cured" if v.validated else "NOT CURED"
        told = f"{v.truth} <- {v.first or '-'}  step {v.step}  {cure}"
        told += f"  noise {' '.join(v.noise)}" if v.noise else ""
    crash = f"  CRASH {v.crash[:120]}" if v.crash else ""
    return f"{name:9} {v.seed} {verdict:6} {v.seconds:5.2f}s {told}{crash}"


def report(figures: dict[str, Any]) -> str:
    """Totals, a line each."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict) and "interval" in value:
            low, high = value["interval"]
            value = f"{value['share']:.1%} of {value['programs']} (95 %: {low:.1%} to {high:.1%})"
        lines.append(f"  {name}: {value}")
    return "\n".join(lines)


def score(tool: Tool, groups: list[str], only: list[str], seeds: int, quiet: bool) -> list[Verdict]:
    """Verdicts of every program that is asked for; prints the lines as they come."""
    verdicts: list[Verdict] = []
    for program in programs(groups, only):
        for seed in range(seeds):
            for verdict in judge(program, seed, tool):
                verdicts.append(verdict)
                good = verdict.right and verdict.validated and not verdict.noise
                if (
                    not quiet
                    or verdict.crash
                    or not (not verdict.actionable if verdict.healthy else good)
                ):
                    print(line(verdict), flush=True)
    return verdicts


def of_large(only: list[str], options: argparse.Namespace) -> None:
    """The programs of `large`: a line each, and the figures."""
    verdicts = []
    for verdict in score_large(only, options.seeds, options.seconds):
        verdicts.append(verdict)
        print(line_of(verdict), flush=True)
    result = figures(verdicts)
    print("\nlarge\n" + "\n".join(f"  {k}: {v}" for k, v in result.items() if k != "runs"))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def of_several(faults: int, only: list[str], options: argparse.Namespace) -> None:
    """Trainings with so many of the twelve commonest faults: a line each, table and figures."""
    verdicts = []
    for verdict in together.score_together(faults, only, options.seeds):
        verdicts.append(verdict)
        print(together.line_of(verdict), flush=True)
    result = together.figures(verdicts)
    if faults == 2:
        print("\n" + together.table(verdicts))
    print("\n" + "\n".join(f"  {k}: {v}" for k, v in result.items() if k != "runs"))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for group in GROUPS:
        parser.add_argument(f"--{group}", action="store_true")
    parser.add_argument("--large", action="store_true", help="nets of real size, by sp.check")
    parser.add_argument("--pairs", action="store_true", help="two common faults together")
    parser.add_argument("--triples", action="store_true", help="three of them")
    parser.add_argument("--seconds", type=float, default=0.0, help="of the check of a large one")
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-check", action="store_true", help="without sp.check")
    parser.add_argument("--no-watch", action="store_true", help="without sp.watch")
    parser.add_argument("--quiet", action="store_true", help="only what is not as it should be")
    options = parser.parse_args()
    torch.set_num_threads(1)
    groups = [g for g in GROUPS if getattr(options, g)] or list(GROUPS)
    only = [name for name in options.only.split(",") if name]
    if options.large:
        of_large(only, options)
        return
    if options.pairs or options.triples:
        of_several(2 if options.pairs else 3, only, options)
        return
    tool = Steepest(pre=not options.no_check, during=not options.no_watch)
    verdicts = score(tool, groups, only, options.seeds, options.quiet)
    if not verdicts:
        parser.error(f"no program is called {options.only}")
    for group in groups:
        if of_group := [v for v in verdicts if v.group == group]:
            print(f"\n{group}\n{report(totals(of_group))}")
    if options.json:
        options.json.write_text(json.dumps(as_json(verdicts), indent=1) + "\n")


if __name__ == "__main__":
    main()
