"""The hook that runs the tutorial: what a block put out, as a reader sees it."""

import importlib.util
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "docs" / "hooks" / "execute.py"


@pytest.fixture(scope="module")
def execute():
    pytest.importorskip("jupytext")
    pytest.importorskip("nbclient")
    spec = importlib.util.spec_from_file_location("execute_hook", HOOK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.execute


def run(execute, tmp_path, source):
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n```python\n{source}\n```\n", "utf-8")
    return execute(page)[0]


def test_what_a_block_flushes_piece_by_piece_is_one_box(execute, tmp_path):
    source = """for i in range(17):
    print("a", end="", flush=True)
    print(i, flush=True)
print("no newline", end="")
7 * 6"""
    page = run(execute, tmp_path, source)
    assert page.count('```text title="Output"') == 1
    assert "a0\na1\n" in page
    assert "no newline\n" in page
    assert "<details" not in page


def test_a_long_output_is_folded(execute, tmp_path):
    page = run(execute, tmp_path, "for i in range(40): print(i)")
    assert "<summary>Output, 40 lines</summary>" in page
    assert page.index("<details markdown>") < page.index("```text") < page.index("</details>")
