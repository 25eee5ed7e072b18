"""`steepest explain rule`, and the pages inside the package."""

import json
from pathlib import Path

import pytest

import steepest as sp
from steepest.cli import main
from steepest.health import Finding, Findings
from steepest.health.findings import pages
from steepest.health.findings.registry import rules
from steepest.health.findings.report import NOT_CHECKED

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ended(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["explain", "rule", *arguments])
        told = capsys.readouterr()
        return end.value.code or 0, told.out, told.err

    return run


@pytest.mark.parametrize("code", ["LR_TOO_HIGH", "lr_too_high", "lr-too-high"])
def test_a_page_is_printed(ended, code):
    status, out, _ = ended(code)
    assert status == 0
    assert out == (ROOT / "docs/health/lr_too_high.md").read_text()


def test_without_a_code_all_are_listed(ended):
    status, out, _ = ended()
    assert status == 0
    assert set(rules()) <= set(out.split())


def test_json(ended):
    assert json.loads(ended("OVERFIT", "--json")[1])["code"] == "OVERFIT"
    listed = json.loads(ended("--json")[1])["rules"]
    assert [rule["code"] for rule in listed] == list(rules())


@pytest.mark.parametrize("code", ["LR_TO_HIGH", "../../README", "", "ÄÖ"])
def test_an_unknown_code_is_a_mistake(ended, code):
    status, out, err = ended(code)
    assert (status, out) == (2, "")
    assert "there is no rule" in err
    assert ("did you mean 'LR_TOO_HIGH'?" in err) == (code == "LR_TO_HIGH")


@pytest.mark.parametrize("code", [code for code in rules() if code != NOT_CHECKED])
def test_every_printed_finding_names_a_command_that_works(code):
    text = str(Findings([Finding(code, "warn", "message", "fix")]))
    (line,) = [line for line in text.splitlines() if line.startswith("  more ")]
    command = line.removeprefix("  more").split()
    assert command[:3] == ["steepest", "explain", "rule"]
    assert pages.page_of(command[3]).startswith(f"# {code}\n")
    assert "docs/" not in text
    assert (
        f"<code>steepest explain rule {code}</code>"
        in Findings([Finding(code, "warn", "message", "fix")])._repr_html_()
    )


def test_the_pages_are_installed_with_the_package():
    rule = (ROOT / "CMakeLists.txt").read_text().partition("include(CheckLanguage)")[0]
    assert "install(DIRECTORY docs/health/ DESTINATION steepest/health/findings/pages" in rule
    assert Path(pages.__file__).parent == Path(sp.__file__).parent / "health" / "findings"
