"""Every block of code in README.md and docs runs, page by page, in a folder of its own.

Blocks of one page share their names. `<!-- skip: next "why" -->` before a block marks what cannot
run here; what a reader need not see is in `<!-- invisible-code-block: python ... -->`.
"""

import re
import shlex
import warnings
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from steepest import Recipe
from steepest.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
    if page.parent.name != "health"  # whose examples tests/health/findings/test_pages.py runs
)
RUN = ("python", "sh", "toml")
SHOWN = ("text", "csv", "json")


def run_shell(example):
    """Runs `steepest ...` lines in this process, which saves the start of one for each line."""
    for line in re.sub(r"\\\n", " ", example.parsed).splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "steepest", f"cannot run {line!r}: mark the block with a skip"
        assert _exit_code(words[1:]) == 0, line


def _exit_code(arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # on the command line a warning is a note
        try:
            main(arguments)
        except SystemExit as end:
            return end.code


def read_recipe(example):
    Recipe.from_toml(example.parsed)


SYBIL = Sybil(
    [
        SkipParser(),
        PythonCodeBlockParser(),
        CodeBlockParser("sh", run_shell),
        CodeBlockParser("toml", read_recipe),
    ]
)


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def fences(page):
    """The language of each fenced block, "" if it has none."""
    return re.findall(r"^ *```(.*)\n(?:.*\n)*?^ *```$", page.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if set(RUN) & set(fences(page))], ids=name_of
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)  # where the fixture `table` has put customers.csv
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    ran = 0
    for example in SYBIL.parse(page):
        try:
            example.evaluate()
            ran += 1
        except SkipTest:
            pass
    assert ran or "skip: next" in page.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_its_language(page):
    assert set(fences(page)) <= {*RUN, *SHOWN}


def test_what_is_skipped_says_why():
    for page in PAGES:
        for directive in re.findall(r"<!-- *skip:(.*?)-->", page.read_text("utf-8")):
            assert re.fullmatch(r' next "[^"]{10,}" ', directive), (name_of(page), directive)
