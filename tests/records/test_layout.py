"""The tables as they are told to readers, against what their writers put into them."""

import subprocess
import sys
from dataclasses import fields

from steepest.engine import LayerStats
from steepest.records.layout import RUN_TABLES, SWEEP_TABLES
from steepest.run import EpochFinished
from steepest.sweeps.record import RunRow


def test_columns_stand_in_the_order_in_which_events_are_written():
    def names(of):
        return [field.name for field in fields(of)]

    assert [*RUN_TABLES["epochs"], "metrics"] == names(EpochFinished)
    assert list(RUN_TABLES["layers"]) == ["step", *names(LayerStats)]
    assert list(SWEEP_TABLES["runs"]) == names(RunRow)
    assert [*SWEEP_TABLES["epochs"], "metrics"] == ["run", *names(EpochFinished)]


def test_who_only_reads_needs_neither_torch_nor_polars():
    program = (
        "import sys, steepest.records.layout, steepest.records.sqlite, steepest.recipe\n"
        "assert not {'torch', 'polars', 'numpy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
