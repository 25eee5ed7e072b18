"""How a sweep shows itself: what the tally counts, and the lines and table made of it."""

import io
import signal

import numpy as np
import pytest
from rich.console import Console

import steepest as sp
from steepest.errors import RecipeError
from steepest.sweeps import progress
from steepest.sweeps.metrics import Metric
from steepest.sweeps.progress import duration, line_of, table_of
from steepest.sweeps.record import RunRow
from steepest.sweeps.tally import Tally


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 4)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0).astype(int)


def tally_of(values, metric="val_loss", seeds=2):
    """Trials lr=1, 2, ... with a value for each seed; a text is the cause of a divergence."""
    tally = Tally(Metric.of(metric))
    tally.add_trials(0, [{"lr": float(i + 1)} for i in range(len(values))])
    tally.add_plan((i, k, f"{i}-{k}") for i in range(len(values)) for k in range(seeds))
    tally.begin([])
    for i, of_seeds in enumerate(values):
        for k, value in enumerate(of_seeds):
            row = (
                RunRow(f"{i}-{k}", "diverged", value, 1, 1)
                if isinstance(value, str)
                else RunRow(f"{i}-{k}", "finished", None, 1, 1, **{metric: value})
            )
            tally.add_run(row)
    return tally


def rendered(now, width=100):
    console = Console(file=io.StringIO(), width=width)
    console.print(table_of(now, "val_loss"))
    return console.file.getvalue()


def test_the_best_trial_is_one_with_every_seed():
    now = tally_of([[0.3, 0.2], [0.1], [0.4, 0.5]]).standings()
    assert (now.done, now.total) == (5, 6)
    assert [(one.trial, one.runs, one.mean) for one in now.best] == [(0, 2, 0.25), (2, 2, 0.45)]
    only_begun = tally_of([[0.1]], "val_acc").standings()
    assert [(one.trial, one.runs, one.seeds, one.mean) for one in only_begun.best] == [
        (0, 1, 2, 0.1)
    ]
    higher = tally_of([[0.1, 0.1], [0.2, 0.2]], "val_acc").standings()
    assert higher.best[0].trial == 1


def test_failures_are_counted_by_cause_whatever_its_numbers():
    causes = [["the loss became nan at step 12", "the loss became nan at step 3e+4"], ["[red] x"]]
    now = tally_of(causes).standings()
    assert [(one.runs, one.cause, one.settings) for one in now.failures] == [
        (2, "the loss became nan at step 12", {"lr": 1.0}),
        (1, "[red] x", {"lr": 2.0}),
    ]
    assert now.best == ()
    text = rendered(now)
    assert "2 diverged: the loss became nan at step 12 (lr=1)" in text
    assert "1 diverged: [red] x (lr=2)" in text


def test_the_table_on_a_narrow_terminal_cuts_causes_and_counts_the_others():
    now = tally_of([[word * 40, 0.1] for word in "abcde"]).standings()
    text = rendered(now, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "2 more for 2 other causes" in text


def test_a_loss_that_left_every_scale_takes_no_more_room():
    text = rendered(tally_of([[1e17, 1e17]]).standings())
    assert "1e+17" in text


def test_a_run_in_two_trials_counts_for_both():
    tally = Tally(Metric.of("val_loss"))
    tally.add_trials(0, [{"lr": 0.1}, {"lr": 0.1}])
    tally.add_plan([(0, 0, "a"), (1, 0, "a")])
    tally.begin([RunRow("a", "finished", None, 1, 1, val_loss=0.5)])
    now = tally.standings()
    assert (now.done, now.total, len(now.best)) == (2, 2, 2)
    assert now.rate != now.rate  # nothing was trained by this process
    assert "2 of 2 runs, - runs/s; best lr=0.1: val_loss=0.5000 (1 seed)" in line_of(
        now, "val_loss"
    )


def test_lines_come_at_a_pace_and_one_at_the_end(rows, capsys, monkeypatch):
    recipe = sp.Recipe(epochs=1, hidden=(4,))
    space = {"lr": [0.1, 1e30]}
    sp.sweep(recipe, space, data=rows, seeds=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("finished: 4 of 4 runs in ")
    assert ": 2 finished, 2 diverged; best lr=0.1: val_loss=" in line
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(progress, "_SHARE_BETWEEN_LINES", 0.0)
    sp.sweep(recipe, space, data=rows, seeds=2)
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("sweep: 1 of 4 runs, ")
    assert len(lines) == 4
    assert last.startswith("finished: ")
    sp.sweep(recipe, space, data=rows, seeds=2, progress="none")
    assert capsys.readouterr().err == ""


def test_the_table_leaves_a_proper_last_line(rows, capsys):
    sp.sweep(sp.Recipe(epochs=1, hidden=(4,)), {"lr": [0.1]}, data=rows, progress="table", seeds=2)
    assert "finished: 2 of 2 runs in " in capsys.readouterr().err


def test_ctrl_c_says_what_is_there_and_how_to_go_on(rows, tmp_path, capsys, monkeypatch):
    # A Ctrl-C as the first run ends.
    def interrupt(tally):
        return lambda: signal.raise_signal(signal.SIGINT) if tally.standings().done == 1 else None

    monkeypatch.setattr(progress, "_Lines", interrupt)
    sweep = sp.sweep(
        sp.Recipe(epochs=1, hidden=(4,)), {"lr": [0.1, 0.2, 0.3]}, data=rows, seeds=4,
        out=tmp_path / "a", workers=1, progress="lines",
    )  # fmt: skip
    assert sweep.results["status"].null_count() > 0
    line = capsys.readouterr().err
    assert line.startswith("interrupted: ")
    assert " of 12 runs in " in line
    assert line.endswith("; go on with --resume, resume=True\n")


def test_a_reader_that_is_gone_does_not_end_the_sweep(rows, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(progress.sys, "stderr", Gone())
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    sweep = sp.sweep(sp.Recipe(epochs=1, hidden=(4,)), {"lr": [0.1, 0.2]}, data=rows, seeds=1)
    assert sweep.results["status"].to_list() == ["finished", "finished"]


def test_what_is_refused():
    with pytest.raises(RecipeError, match="progress must be one of auto, table, lines, none, but"):
        sp.sweep(None, {}, data="iris", progress="bar")


def test_durations():
    seconds = [0.04, 9.94, 59.4, 61, 3600, 7505, float("nan")]
    shown = ["0.0 s", "9.9 s", "59 s", "1 min 1 s", "1 h 0 min", "2 h 5 min", "?"]
    assert list(map(duration, seconds)) == shown
