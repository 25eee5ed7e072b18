"""`steepest explain` in a process of its own."""

import json
import re
import xml.dom.minidom
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from steepest.cli import main
from steepest.explain.lecture import SlideCheck, checks

SLIDES = ("2.04", "2.303", "1.1394", "0.3374", "40", "24.5", "164.0", "-.7133", "-1.3285", "-.1669")


def test_the_lecture_is_worked_out_and_every_number_is_equal(steepest):
    ended = steepest("explain", "lecture")
    assert ended.code == 0
    for text in ("Z1 = X W1ᵀ + b1", "dL/dZ3 = 1/N (A3 - Y)", *SLIDES, "a slip of slide L6"):
        assert text in ended.out
    assert re.match(r"\d+ numbers of the slides: all equal", ended.out)  # it begins with the result
    assert "DIFFERS" not in ended.out


def test_the_lecture_as_json_has_the_tables_of_the_slides(steepest, tmp_path):
    ended = steepest("explain", "lecture", "--json", "-o", "lecture.html")
    assert ended.code == 0
    found = {(c["topic"], c["quantity"]): c for c in ended.json["checks"]}
    assert ended.json["equal"]
    assert len(found) == len(ended.json["checks"]) > 80
    # Each says which slide it is of, by the number and the title of docs/lecture.md.
    page = (Path(__file__).parents[2] / "docs" / "lecture.md").read_text("utf-8")
    for slide in {c["slide"] for c in found.values()}:
        numbers, title = slide.split(", ", 1)
        for number in numbers.split(" and "):
            assert re.search(rf"^\| {number} \|.*{re.escape(title)}", page, re.MULTILINE), slide
    # The slides' table, typed here again: dL/dZ3 at four digits.
    table = [
        [0.1090, 0.0534, -0.1624],
        [-0.1304, 0.0473, 0.0831],
        [0.1199, -0.2030, 0.0831],
        [0.1199, 0.0470, -0.1669],
    ]
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            check = found["worked example, 5-7-4-3", f"dL/dZ3[{i}, {j}]"]
            assert check["ours"] == pytest.approx(value, abs=5.1e-5)
            assert float(check["slides"]) == value
    assert (tmp_path / "lecture.html").read_text("utf-8").count("<math") > 20


def test_a_number_that_differs_is_marked_and_ends_with_one(monkeypatch, capsys):
    from steepest.explain import lecture

    assert len(checks()) > 80
    assert all(check.equal for check in checks())
    assert not SlideCheck("s", "t", "q", "1.1394", 1.13935 - 1e-6).equal
    monkeypatch.setattr(lecture, "A3", lecture.A3.replace(".3505", ".3506"))
    with pytest.raises(SystemExit) as ended:
        main(["explain", "lecture"])
    assert ended.value.code == 1
    assert capsys.readouterr().out.count("DIFFERS") == 1


@pytest.mark.parametrize("command", [[], ["train"], ["explain"], ["explain", "graph"]])
def test_help_shows_its_examples_line_by_line(command, run):
    lines = run(*command, "--help").out.splitlines()
    assert any(line.startswith(f"  {' '.join(['steepest', *command])} ") for line in lines)
    assert not any("\\b" in line for line in lines)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """The command in this process, which is quicker; the two tests above start a real one."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(ended.value.code, out, err)

    return command


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def test_the_ledger_of_a_run(run, table):
    settings = ("--target", "churned", "--hidden", 4, "--epochs", 2, "--progress", "none")
    assert run("train", table, *settings, "--out", "run").code == 0
    ended = run("explain", "backprop", "run", "--rows", 3, "--json")
    assert ended.code == 0
    assert ended.json["agrees"]
    entries = {entry["name"]: entry for entry in ended.json["entries"]}
    assert entries["dL/dW1"]["shape"][0] == 4
    assert entries["A2"]["shape"] == [3, 1]
    assert run("explain", "backprop", "run", table, "-o", "ledger.md").code == 0
    ended = run("explain", "backprop", "run", "--rows", 0)
    assert (ended.code, ended.out) == (2, "")
    assert "no row to explain" in ended.err


def test_the_graph_of_an_expression(run, tmp_path):
    f = "(x[0]+x[1])**2 + 7*x[0] + cos(x[0]+x[2])"
    ended = run("explain", "graph", f, "--at", "2,3,-2", "--json", "-o", "f.svg")
    assert ended.json["value"] == 40
    assert ended.json["gradients"] == {"x": [17, 10, 0]}
    xml.dom.minidom.parse(str(tmp_path / "f.svg"))
    assert "[17, 10, 0]" in run("explain", "graph", f, "--at", "2,3,-2").out
    for mistake in (("open('x')", "1"), ("x[3]", "1,2"), ("x", "1,2"), ("x[0]", "a,b")):
        ended = run("explain", "graph", mistake[0], "--at", mistake[1])
        assert ended.code == 2
        assert ended.err.count("rror") == 1


def test_a_film_from_the_command_line(run, tmp_path):
    rows = [f"{i},{i % 3},{'u' if i < 15 else 'v'}" for i in range(30)]
    (tmp_path / "points.csv").write_text("\n".join(["a,b,c", *rows]))
    settings = ("--target", "c", "--batch-sizes", "full,4", "--epochs", 2, "--frames", 6)
    ended = run("explain", "descent", "points.csv", *settings, "-o", "film.gif", "--json")
    assert ended.code == 0, ended.err
    assert [path["steps"] for path in ended.json["paths"]] == [2, 16]
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 6
    ended = run("explain", "descent", "line", "-o", "film.xyz")
    assert ended.code == 2
    assert "saved as .gif" in ended.err
