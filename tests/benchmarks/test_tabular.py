"""benchmarks/tabular: what is run, what is written down, and what is made of it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FAKES = Path(__file__).parent
sys.path.insert(0, str(BENCHMARKS))
try:
    from tabular import ranks, report, results, scores, splits, tables
    from tabular.methods import METHODS, absence, find_method
    from tabular.methods.tuned import tuned
finally:
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def folder(tmp_path):
    """Two small tables: one as CSV with gaps and words, one as Parquet."""
    rng = np.random.default_rng(0)
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a", "b"):
        y = rng.integers(0, 2, 60)
        frame = pd.DataFrame({"x": rng.normal(3 * y, 1), "z": rng.normal(size=60), "target": y})
        frame.to_csv(data / f"{name}.csv", index=False)
    return data


@pytest.fixture
def benchmark(tmp_path, folder):
    """Runs the command on these tables: (what it printed, the lines of the results file)."""
    path = tmp_path / "results.jsonl"

    def run(*methods, **options):
        names = ",".join(m if ":" in m else f"fake_methods:{m}" for m in methods)
        given = {"data": folder, "methods": names, "results": path, "plot": tmp_path / "cd.svg"}
        given |= {"splits": 1, "ours": "fake_methods:nearest", **options}
        switches = [f"--{k}" for k, v in given.items() if v is True]
        pairs = [f"--{k.replace('_', '-')}={v}" for k, v in given.items() if v is not True]
        environment = {
            **os.environ, "PYTHONPATH": str(FAKES), "FAKE_PID": str(tmp_path / "pid"),
        }  # fmt: skip
        ended = subprocess.run(
            [sys.executable, str(BENCHMARKS / "tabular"), *pairs, *switches],
            capture_output=True, text=True, timeout=120, env=environment,
        )  # fmt: skip
        rows = path.read_text().splitlines() if path.exists() else []
        return ended, [json.loads(row) for row in rows]

    run.path = path
    return run


def test_every_fit_has_a_line_with_all_figures(benchmark, tmp_path):
    ended, lines = benchmark("shares", "nearest", tables="a,b")
    assert ended.returncode == 0, ended.stderr
    assert {(x["table"], x["split"], x["method"]) for x in lines} == {
        (t, 0, f"fake_methods:{m}") for t in "ab" for m in ("shares", "nearest")
    }
    for line in lines:
        assert line["status"] == "done"
        assert {*ranks.MEASURES, "fit_seconds", "predict_seconds", "memory_mib"} <= line.keys()
    assert "won " in ended.stdout
    assert "critical difference" in ended.stdout
    assert (tmp_path / "cd.svg").read_text().startswith("<?xml")


def test_what_is_there_is_not_run_again_and_a_line_that_a_kill_cut_is(benchmark):
    _, lines = benchmark("shares", "nearest", tables="a")
    whole = benchmark.path.read_text()
    benchmark.path.write_text(whole[:-20])  # the last line, nearest's, is cut off
    ended, again = benchmark("shares", "nearest", tables="a")
    assert "1 of 2 fits are in" in ended.stdout
    assert again[0] == lines[0]
    assert [x["method"] for x in again] == ["fake_methods:shares", "fake_methods:nearest"]
    # Equal but for the time it took.
    assert [again[1][m] for m in ranks.MEASURES] == [lines[1][m] for m in ranks.MEASURES]


def test_what_goes_wrong_is_a_result_and_ranks_last(benchmark):
    ended, lines = benchmark("nearest", "raises", "dies", tables="a")
    status = {x["method"]: (x["status"], x.get("error")) for x in lines}
    assert status["fake_methods:raises"] == ("failed", "ValueError: no such luck")
    assert status["fake_methods:dies"][0] == "failed"
    assert "ended with 3" in status["fake_methods:dies"][1]
    assert "fake_methods:raises on a, split 0: failed, ValueError: no such luck" in ended.stdout
    again, more = benchmark("nearest", "raises", tables="a", retry=True)
    assert "1 of 2 fits are in" in again.stdout
    assert len(more) == len(lines) + 1


def test_a_fit_beyond_its_time_is_killed_with_its_children(benchmark, tmp_path):
    _, lines = benchmark("hangs", "shares", tables="a", limit=15)
    assert {x["method"]: x["status"] for x in lines} == {
        "fake_methods:hangs": "timeout",
        "fake_methods:shares": "done",
    }
    child = int((tmp_path / "pid").read_text())
    for _ in range(50):  # until whoever adopts it has seen it die
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rpartition(") ")[2][0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child of the fit lives on")


def test_seconds_of_children_count(benchmark):
    _, lines = benchmark("works_in_a_child", tables="a")
    assert 0.5 <= lines[0]["fit_seconds"] < 5


def test_results_of_other_conditions_are_not_mixed(benchmark):
    benchmark("shares", tables="a")
    ended, _ = benchmark("shares", tables="a", max_train=20)
    assert ended.returncode
    assert "max_train 3750, not 20: give the same, or another file" in ended.stderr


def test_test_rows_are_no_training_rows_and_every_class_has_one_to_train_on():
    y = np.repeat([0, 1, 2, 3], [400, 50, 2, 1])
    for number in range(20):
        train, test = splits.split(y, number, max_train=100, max_test=80)
        assert not {*train} & {*test}
        assert {*y[train]} == {0, 1, 2, 3}
        assert abs(len(train) - 100) <= 3
        assert abs(len(test) - 80) <= 2
    assert [*splits.split(y, 0, max_train=None, max_test=None)[0]] != [
        *splits.split(y, 1, max_train=None, max_test=None)[0]
    ]


def test_numbers_stay_numbers_and_all_else_is_a_category(tmp_path):
    frame = pd.DataFrame(
        {
            "n": [1, None, 3],
            "flag": [True, False, None],
            "word": ["a", None, "b"],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
            "label": ["x", "y", None],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = tables.find_tables(tmp_path, None)["t"]()
    assert table.classes == ["x", "y"]
    assert [*table.y] == [0, 1]  # the row without a label is gone
    assert tables.categorical(table.X) == ["flag", "word"]
    assert table.X["flag"].tolist() == ["True", "False"]
    assert table.X["day"].diff().iloc[1] == 86_400


def test_scores_agree_with_scikit_learn_and_bound_a_zero():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    p = rng.dirichlet([1, 1, 1], 200)
    found = scores.scores(p, y)
    assert found["log_loss"] == pytest.approx(log_loss(y, p, labels=[0, 1, 2]))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, p.argmax(1)))
    assert found["auc"] == pytest.approx(roc_auc_score(y, p, multi_class="ovr"))
    sure = scores.scores(np.eye(2)[[0, 1]], np.array([1, 1]))
    assert sure["log_loss"] == pytest.approx(-np.log(np.finfo(np.float32).eps) / 2)
    assert sure["ece"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="finite"):
        scores.scores(np.full((1, 2), np.nan), np.array([0]))


def lines_of(losses):
    """Results of one split: method -> its log loss on each table, None for a failure."""
    made = {}
    for method, values in losses.items():
        for t, value in values.items():
            line = {"table": t, "split": 0, "method": method, "status": "failed"}
            if value is not None:
                others = {"balanced_accuracy": 0.5, "auc": 0.5, "ece": 0.1, "accuracy": -value}
                times = {"fit_seconds": 1, "predict_seconds": 0.1, "memory_mib": 100}
                line |= {"status": "done", "log_loss": value, **others, **times}
            made[t, 0, method] = line
    return made


def test_ranks_share_ties_and_a_failure_is_last():
    found = ranks.comparisons(
        lines_of({"a": {"t": 0.1, "u": 0.5}, "b": {"t": 0.2, "u": 0.5}, "c": {"t": 0.3, "u": None}})
    )
    (compared,) = found
    assert_allclose(compared.ranks("log_loss"), [[1, 2, 3], [1.5, 1.5, 3]])
    assert_allclose(compared.mean_ranks(), [1.25, 1.75, 3])
    text = "\n".join(report.summary(compared))
    assert "means without u" in text
    assert "  log_loss: 1 won, 0 lost, 1 equal" in [*report.against(compared, "a", {"b"})]


def test_a_method_tried_on_fewer_tables_is_compared_on_those():
    all_three = {"t": 0.1, "u": 0.2, "v": 0.3}
    found = ranks.comparisons(lines_of({"a": all_three, "b": all_three, "slow": {"t": 0.05}}))
    assert [(c.methods, c.tables) for c in found] == [
        (["a", "b"], ["t", "u", "v"]),
        (["a", "b", "slow"], ["t"]),
    ]


def test_the_critical_difference_is_that_of_the_published_table():
    # Demšar 2006, table 5 (a): q = 2.343 for three methods, 3.164 for ten, at 5 %.
    for k, q in ((3, 2.343), (10, 3.164)):
        expected = q * np.sqrt(k * (k + 1) / (6 * 30))
        assert ranks.critical_difference(k, 30) == pytest.approx(expected, rel=1e-3)
    assert ranks.cliques([1.0, 1.5, 2.4, 4.0], 1.0) == [(0, 1), (1, 2)]


def test_a_method_that_is_not_installed_is_named_and_leaves_no_line(benchmark):
    ended, lines = benchmark("shares", "nearest", "no_such_module_here:y", tables="a")
    assert "not measured: no_such_module_here:y" in ended.stdout
    assert len(lines) == 2


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("name", [m for m in METHODS if absence(m) is None and "tuned" not in m])
def test_every_installed_method_takes_words_and_gaps(name):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"[x]": rng.normal(size=150), "word": rng.choice(["a", "b"], 150)})
    frame.loc[::7, "[x]"] = np.nan
    frame.loc[::9, "word"] = None
    y = rng.integers(0, 3, 150)
    table = tables.as_table("t", frame, pd.Series(y))
    predict = find_method(name)(table.X[:120], y[:120], 3, 0, 1)
    p = predict(table.X[120:].reset_index(drop=True))
    assert p.shape == (30, 3)
    assert scores.scores(p, y[120:])["log_loss"] < 16


def test_results_that_are_none_are_named(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"table": 1}\n')
    with pytest.raises(SystemExit, match="line 1: not a result"):
        results.read(path)


def test_tuning_takes_the_setting_of_the_lowest_loss_out_of_fold_and_sees_no_other_rows():
    y = np.repeat([0, 1, 2], [30, 20, 1])  # a class that one fold alone has
    X = pd.DataFrame({"x": y.astype(float)})
    seen = []

    def fit(X, y, classes, seed, threads, doubt=0.9):
        assert [*np.unique(y)] == [*range(classes)]
        seen.append((len(y), doubt))

        def predict(rows):
            p = np.full((len(rows), classes), doubt / classes)
            p[np.arange(len(rows)), np.minimum(rows["x"].astype(int), classes - 1)] += 1 - doubt
            return p

        return predict

    tuned(fit, lambda rng: {"doubt": rng.uniform(0.2, 0.8)}, X, y, 3, 0, 1)
    *folds, (rows, chosen) = seen
    assert rows == len(y)
    assert {rows for rows, _ in folds} == {34}
    assert len(folds) == 3 * 20
    assert chosen == min(doubt for _, doubt in folds)
