"""The documents name everything that is there, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

from steepest.recipe import SETTINGS

ROOT = Path(__file__).parents[1]


def test_every_decision_is_one_page():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert pages
    for number, page in enumerate(pages, start=1):
        assert page.name.startswith(f"{number:04d}-")
        assert len(page.read_text("utf-8").splitlines()) < 60


PAGES = {page.stem: page.read_text("utf-8") for page in (ROOT / "docs" / "toolbox").glob("*.md")}
TECHNIQUES = {name: text for name, text in PAGES.items() if "<!-- measured -->" in text}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_page_of_the_toolbox_has_its_parts(name):
    text = TECHNIQUES[name]
    for part in ("**Formula.**", "**Gradient.**", "**When.**", "**Measured.**"):
        assert part in text
    measured = text.split("<!-- measured -->")[1].splitlines()
    assert sum(line.startswith("| ") for line in measured) >= 3  # a head and two lines
    assert f"({name}.md)" in PAGES["README"]


def test_every_setting_of_the_toolbox_has_a_page():
    elsewhere = {
        *("data", "target", "ignore", "image_size", "validation", "test", "scaling"),
        *("scaling_range", "hidden", "channels", "activation", "init", "lr", "batch_size"),
        *("bins", "preset", "members", "time_limit", "epochs", "steps"),
        *("seed", "engine", "threads", "device", "precision", "log_every", "check"),
    }
    others = [ROOT / "docs" / "reliability.md", ROOT / "docs" / "health" / "README.md"]
    text = "\n".join([*TECHNIQUES.values(), *(page.read_text() for page in others)])
    assert [
        name
        for name in SETTINGS
        if name not in elsewhere and f"`{name}" not in text and f"{name} =" not in text
    ] == []


def test_every_page_is_measured_by_the_example():
    cases = re.findall(
        r'^    "(\w+)": \($|^    "(\w+)": \(\w',
        (ROOT / "examples" / "toolbox.py").read_text(),
        re.MULTILINE,
    )
    assert {a or b for a, b in cases} == set(TECHNIQUES)


def test_links_between_documents_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            place = page.parent / target
            # A page of a notebook is made of its script when the site is built.
            assert place.exists() or place.with_suffix(".py").exists(), (page.name, target)


def test_the_citation_names_the_version():
    def version(name, pattern):
        return re.search(pattern, (ROOT / name).read_text("utf-8"), re.MULTILINE)[1]

    stated = version("pyproject.toml", r'^version = "(.*)"$')
    assert version("CITATION.cff", r"^version: (.*)$") == stated
