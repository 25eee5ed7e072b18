"""`steepest sweep`."""

import json

import pytest

import steepest as sp
from steepest.cli import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["sweep", *map(str, arguments)])
    return end.value.code, capsys.readouterr()


def test_a_grid_on_the_command_line_and_more_seeds_later(tmp_path, capsys):
    line = ["iris", "--set", "lr=0.01,0.1", "--set", "hidden=4;8,8", "--epochs", 2]
    line += ["--out", tmp_path / "a", "--json"]
    code, printed = run(capsys, *line, "--seeds", 1)
    assert code == 0
    told = json.loads(printed.out)
    assert [row["hidden"] for row in told["results"]] == ["4", "8,8"] * 2
    code, printed = run(capsys, *line, "--seeds", 2, "--resume")
    assert code == 0
    assert len(json.loads(printed.out)["results"]) == 8
    assert sp.load_sweep(tmp_path / "a").results["status"].to_list() == ["finished"] * 8
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path / "a"), "-o", str(tmp_path / "a.html")])
    assert end.value.code == 0
    assert "4 trials · 8 runs" in (tmp_path / "a.html").read_text("utf-8")
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path / "a"), "iris"])
    assert end.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "lr"], "'lr' is not SETTING=VALUE,VALUE"),
        (["--set", "lrr=1"], "did you mean 'lr'"),
        (["--set", "lr=fast"], "lr must be a number above 0, or 'auto', but is 'fast'"),
        (["--set", "lr=log(1,2)"], "log(1, 2) is no distribution"),
        (["--set", "lr=0.1", "--random"], "needs the number of points: trials=100"),
        (["--set", "lr=0.1", "--random", "--sobol"], "choose one"),
        (["--resume"], "--resume needs --out"),
    ],
)
def test_mistakes_end_with_2_and_one_message(tmp_path, capsys, arguments, message):
    code, printed = run(
        capsys, "iris", *arguments, *(["--out", tmp_path / "a"] * ("--resume" not in arguments))
    )
    assert code == 2
    assert message in printed.err
    assert not (tmp_path / "a").exists()
