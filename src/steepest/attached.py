"""Where Run and Sweep get the methods that need rooms above them: `resume`, `report`, `plot`, ...

A run is a value that training makes and everything above it reads, so the room `run/` may import
neither training nor report nor export. The public names that give a Run (`train`, `resume`,
`load_run`, `Run`) or a Sweep are looked up through this module, which is above all rooms and
completes the class first. docs/decisions/0013.
"""

from pathlib import Path
from typing import Any

from steepest.ensemble import resume as resume
from steepest.ensemble import train as train
from steepest.export import export_run
from steepest.run import Run as Run
from steepest.run import attach
from steepest.run import load_run as load_run
from steepest.sweeps import Sweep as Sweep
from steepest.sweeps import attach as attach_to_sweeps
from steepest.sweeps import compare as compare
from steepest.sweeps import load_sweep as load_sweep
from steepest.sweeps import sweep as sweep


def _report(run: Run, path: str | Path, *, samples: Any, target: str | None) -> Path:
    from steepest.report import write_report  # with its extra: matplotlib and jinja2

    return write_report(run, path, samples=samples, target=target)


def _card(run: Run, path: str | Path) -> Path:
    from steepest.export.card import write_card

    write_card(run, path)
    return Path(path)


def _to_script(run: Run, path: str | Path) -> Path:
    from steepest.export.script import write_script

    write_script(run, Path(path))
    return Path(path)


def _board(folder: Path | None, *, browser: bool) -> Any:
    from steepest.board.opened import open_board

    return open_board(folder, browser=browser)


def _sweep_plot(sweep: Sweep, kind: str, **arguments: Any) -> Any:
    from steepest.report import plot_sweep

    return plot_sweep(sweep, kind, **arguments)


def _sweep_report(sweep: Sweep, path: str | Path) -> Path:
    from steepest.report import write_sweep_report

    return write_sweep_report(sweep, path)


attach_to_sweeps(plot=_sweep_plot, report=_sweep_report)
attach(
    resume=resume,
    report=_report,
    export=export_run,
    card=_card,
    to_script=_to_script,
    board=_board,
)
