"""The page and the example of this room run."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explain.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_pages_code_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "explain.md", "exec"), {})
    assert list(tmp_path.iterdir())


def test_the_example_makes_every_picture_of_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["explain.py", str(tmp_path), "3"])
    runpy.run_path(str(ROOT / "examples" / "explain.py"), run_name="__main__")
    shown = re.findall(r"\(pictures/(\S+?)\)", PAGE)
    assert shown
    assert {path.name for path in tmp_path.iterdir()} >= set(shown)
    assert all((ROOT / "docs" / "pictures" / name).exists() for name in shown)
