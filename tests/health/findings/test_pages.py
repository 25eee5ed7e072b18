"""Every rule page: its faulty example gives the finding, the mended one gives none of warning or error."""

import re
from pathlib import Path

import pytest

from steepest.health.findings.registry import rules

FOLDER = Path(__file__).parents[3] / "docs" / "health"
PAGES = sorted(FOLDER.glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
NOTES = {"SHARED_MODULE", "LABEL_NOISE"}


def blocks(path):
    return BLOCK.findall(path.read_text())


def rules_before_training():
    pages = [p for p in PAGES if p.stem.upper() in rules()]
    return [p for p in pages if len(blocks(p)) == 2 and "sp.check(" in p.read_text()]


@pytest.mark.parametrize("path", rules_before_training(), ids=lambda p: p.stem)
def test_a_page_shows_the_fault_and_its_fix(path):
    code = path.stem.upper()
    faulty, mended = blocks(path)
    names = {}
    exec(compile(faulty, str(path), "exec"), names)
    found = names["findings"]
    assert found[0].code == code
    assert (found[0].severity == "info") == (code in NOTES)
    exec(compile(mended, str(path), "exec"), names)
    assert names["findings"].actionable.codes == []


def test_the_index_names_every_page():
    text = (FOLDER / "README.md").read_text()
    for path in PAGES:
        assert path.stem == "README" or f"({path.name})" in text


def rules_during_training():
    pages = [p for p in PAGES if p.stem.upper() in rules()]
    calls = re.compile(r"sp\.(watch|train)\(")
    return [p for p in pages if len(blocks(p)) == 2 and calls.search(p.read_text())]


@pytest.mark.parametrize("path", rules_during_training(), ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore::steepest.errors.HealthWarning")
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step()`")
def test_a_page_shows_the_fault_of_a_loop_and_its_fix(path):
    code = path.stem.upper()
    faulty, mended = blocks(path)
    names = {}
    exec(compile(faulty, str(path), "exec"), names)
    found = [*names["findings"], *(c for f in names["findings"] for c in f.consequences)]
    assert code in [finding.code for finding in found]
    exec(compile(mended, str(path), "exec"), names)
    assert code not in names["findings"].codes
    assert names["findings"].actionable.codes == []


def test_every_page_of_a_rule_runs():
    ran = {*rules_before_training(), *rules_during_training()}
    others = {"README", "benchmark", "not_checked"}
    assert {p.stem for p in PAGES} - {p.stem for p in ran} == others
