"""What the README shows runs, and its table of engines and rooms is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_readmes_code_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "runs" / "first" / "model.safetensors").exists()


def test_the_map_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = [p for p in (ROOT / "src" / "steepest").iterdir() if p.name[0] not in "_."]
    missing = [p.name for p in rooms if f"{p.name}{'/' * p.is_dir()}" not in text]
    assert missing == ["py.typed"]


def test_every_decision_is_one_page():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert pages
    for number, page in enumerate(pages, start=1):
        assert page.name.startswith(f"{number:04d}-")
        assert len(page.read_text("utf-8").splitlines()) < 60
