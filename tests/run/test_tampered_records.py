"""Records of strangers: whatever a column or a fact holds, it is read or refused in one line."""

import json
import shutil
import sqlite3
import warnings
from contextlib import closing, suppress

import pytest

import steepest as sp
from steepest.errors import RunError, SteepestError
from steepest.records.layout import RUN_TABLES
from steepest.run import RECORD

DATA = ([[float(i % 3), float(i % 2)] for i in range(40)], [i % 2 for i in range(40)])
FINDING = {
    "code": "LR_TOO_HIGH", "severity": "warn", "message": "high", "fix": "lr=1", "step": 1,
    "evidence": [{"measured": "1", "expected": "2", "where": ""}], "ruled_out": ["x"],
    "confidence": "fact", "consequences": [],
}  # fmt: skip
ODD = ("NULL", "-1", "9223372036854775807", "1e300", "'NaN'", "'x'", "x'ff'", "9e999")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = {"epochs": 2, "hidden": (3,), "validation": 0.2, "batch_size": 8, "log_every": 2}
    sp.train(None, DATA, out=folder, progress="none", **settings)
    edit(folder, ("INSERT INTO findings VALUES (1, 'LR_TOO_HIGH', 'warn', ?)", finding()))
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def finding(**changes):
    return json.dumps({**FINDING, **changes})


def edit(folder, *statements):
    with closing(sqlite3.connect(folder / RECORD)) as connection:
        for sql, *values in statements:
            connection.execute(sql, values)
        connection.commit()


def read(folder):
    run = sp.load_run(folder)
    _ = run.history, run.intervals, run.layers, run.scores, run.status, repr(run)
    _ = run.record.table("events"), run.findings.to_json(), str(run.findings), run._repr_html_()


def test_what_was_not_touched_is_read(folder):
    read(folder)


@pytest.mark.parametrize("table", list(RUN_TABLES))
def test_a_column_of_other_values_is_read_or_refused(folder, table):
    whole = (folder / RECORD).read_bytes()
    for column in sp.load_run(folder).record.table(table).columns:
        for value in ODD:
            (folder / RECORD).write_bytes(whole)
            edit(folder, (f"UPDATE {table} SET {column} = {value}",))
            with suppress(RunError):
                read(folder)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE epochs SET train_loss = NULL WHERE epoch = 1",
            "epochs has no train_loss in row 1",
        ),
        ("UPDATE epochs SET step = -1", "epochs has step = -1 in row 0"),
        ("UPDATE findings SET details = NULL", "findings has no details in row 0"),
        ("DELETE FROM facts WHERE key = 'rows'", "does not tell rows"),
        ("DELETE FROM facts WHERE key = 'scores'", "does not tell scores"),
        ("UPDATE facts SET value = 'null' WHERE key = 'rows'", "rows is None"),
        ("UPDATE facts SET value = 'true' WHERE key = 'rows'", "rows is True"),
        (f"UPDATE facts SET value = '1{'0' * 400}' WHERE key = 'seconds'", "seconds is 1000"),
        ("UPDATE facts SET value = '\"dancing\"' WHERE key = 'status'", "status is 'dancing'"),
    ],
)
def test_what_no_run_writes_is_refused_with_its_place(folder, statement, message):
    edit(folder, (statement,))
    with pytest.raises(RunError, match=message):
        read(folder)


@pytest.mark.parametrize(
    "changes",
    [
        *({"code": 1}, {"code": None}, {"severity": "loud"}, {"severity": ["warn"]}),
        *({"message": 3}, {"fix": None}, {"confidence": "sure"}, {"step": "1"}, {"step": 2**70}),
        *({"evidence": None}, {"evidence": [3]}, {"evidence": [{"x": 1}]}, {"ruled_out": 3}),
        *({"consequences": [3]}, {"consequences": [{"code": "X"}]}, {"more": 1}),
    ],
)
def test_findings_of_other_types_are_refused(folder, changes):
    edit(folder, ("UPDATE findings SET details = ?", finding(**changes)))
    run = sp.load_run(folder)
    with pytest.raises(RunError, match="the findings of the run are damaged"):
        _ = run.findings


def test_consequences_without_end_are_refused(folder):
    deep = finding()
    for _ in range(20):
        deep = finding(consequences=[json.loads(deep)])
    edit(folder, ("UPDATE findings SET details = ?", deep))
    with pytest.raises(RunError, match="beyond all bounds"):
        read(folder)


def test_a_layer_or_a_reason_that_is_called_nan_stays_a_word(folder):
    edit(folder, ("UPDATE layers SET name = 'NaN'",), ("UPDATE events SET text = 'NaN'",))
    run = sp.load_run(folder)
    assert run.layers["name"].unique().to_list() == ["NaN"]
    assert run.record.table("events")["text"][-1] == "NaN"


@pytest.mark.parametrize("table", ["epochs", "intervals", "events", "facts"])
def test_reports_and_commands_of_an_emptied_record_end_in_one_line(folder, table):
    edit(folder, (f"DELETE FROM {table}",))
    run = sp.load_run(folder)
    with suppress(SteepestError):
        run.report(folder.parent / "report.html")
    with suppress(SteepestError), warnings.catch_warnings(action="ignore"):
        sp.resume(folder, data=DATA, progress="none")


def test_a_list_of_runs_passes_over_a_link_that_leads_nowhere(folder, steepest):
    (folder.parent / "gone").mkdir()
    (folder.parent / "gone" / "layout.json").symlink_to("nowhere")
    edit(folder, ("DELETE FROM facts WHERE key = 'rows'",))
    listed = steepest("runs", folder.parent)
    assert listed.code == 0
    assert listed.out.count("damaged: ") == 2
