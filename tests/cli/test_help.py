"""Help at 80 columns, and what was meant by an option or a command that does not exist."""

import re

import pytest

from steepest.cli.main import _steepest, main
from steepest.recipe import GROUPS, SETTINGS, Recipe


@pytest.fixture
def printed(capsys, monkeypatch):
    """What a command line prints, standard output and error together, at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(line):
        with pytest.raises(SystemExit):
            main(line.split())
        return "".join(capsys.readouterr())

    return run


@pytest.mark.parametrize("command", ["train", "check", "find-lr", "explain descent"])
def test_help_has_every_setting_under_a_heading_with_its_default(printed, command):
    text = printed(f"{command} --help")
    assert [h for h in re.findall(r"^(\S.*):$", text, re.M) if h in GROUPS] == list(GROUPS)
    entries = re.findall(r"^  (--.*?)(?=^  -|^\S|\Z)", text, re.M | re.S)
    shown = {}
    for entry in entries:
        words = " ".join(entry.split())
        name = re.match(r"--(?:\[no-\])?([\w-]+)", words)[1].replace("-", "_")
        default = re.search(r"\[default: (.*)\]$", words)
        shown[name] = default and default[1]
    assert {name for name in SETTINGS if name != "data" and not shown.get(name)} == set()
    assert shown["batch_size"] == str(Recipe().batch_size)
    assert shown["betas"] == "0.9,0.999"
    assert shown["early_stopping"] == "off"
    assert shown["check"] == "on"
    assert shown["clip_norm"] == "none"
    assert f"adam {Recipe(optimizer='adam').base_lr:g}" in shown["lr"]


def test_no_line_of_any_help_is_cut_at_80_columns(printed):
    groups = "explain lecture", "explain backprop", "explain graph", "explain descent"
    for command in ("", "train", *_steepest.list_commands(None), *groups):
        text = printed(f"{command} --help")
        assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("steepest tr", "plain,train"),
        ("steepest train --batch-s", "plain,--batch-size"),
        ("steepest train x --optimizer adamw", "plain,adamw"),
        ("steepest train cust", "file,cust"),
        ("steepest evaluate run cust", "file,cust"),
    ],
)
def test_the_shell_completes_commands_options_names_and_files(
    printed, monkeypatch, words, completed
):
    monkeypatch.setenv("_STEEPEST_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert completed in printed("").splitlines()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("train x --learning-rate 1", "steepest calls it '--lr'"),
        ("train x --learning_rate=1", "steepest calls it '--lr'"),
        ("train x -lr 1", "did you mean '--lr'?"),
        ("train x --test-size 0.2", "steepest calls it '--test'"),
        ("train x --batch 3", "steepest calls it '--batch-size'"),
        ("train x --val 0.2", "did you mean '--validation'?"),
        ("train x --max-epochs 3", "steepest calls it '--epochs'"),
        ("train x --optimiser adam", "steepest calls it '--optimizer'"),
        ("train x --no-wach", "did you mean '--no-watch'?"),
        ("find-lr x --hiden 3", "did you mean '--hidden'?"),
        ("explain descent x --learning-rate 1", "steepest calls it '--lr'"),
        ("resume x --learning-rate 1", "steepest calls it '--lr'"),
        ("runs --jsn", "did you mean '--json'?"),
        ("evaluate x y --learning-rate 1", "No such option '--learning-rate'\n"),
        ("trian x", "did you mean 'train'?"),
        ("fit x", "did you mean 'train'?"),
        ("eval x", "did you mean 'evaluate'?"),
        ("explain lecure", "did you mean 'lecture'?"),
        ("qqq", "the commands are train, resume, check,"),
    ],
)
def test_an_unknown_name_is_answered_with_what_was_meant(printed, line, meant):
    text = printed(line)
    assert meant in text
    assert "scaling" not in text
    assert "Traceback" not in text
