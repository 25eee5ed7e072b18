"""The report is one file that is whole, says what the run has, and trusts no name in it."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import steepest as sp
from steepest.health import Evidence, Finding, Findings

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}
HOSTILE = "<script>alert('1')</script>"


class Page(HTMLParser):
    """Reads a page: its tags with their attributes, its text; every tag must be closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def page_of(run, tmp_path, **options):
    return Page(run.report(tmp_path / "report.html", **options).read_text("utf-8"))


@pytest.fixture(scope="module")
def digits_run():
    return sp.train(
        None, sp.load_data("digits"), hidden=(16,), lr=0.05, epochs=2, test=0.3, progress="none"
    )


@pytest.fixture(scope="module")
def digits_page(digits_run, tmp_path_factory):
    path = digits_run.report(tmp_path_factory.mktemp("report") / "report.html")
    return Page(path.read_text("utf-8"))


def test_it_says_what_the_run_has(digits_run, digits_page):
    page = digits_page
    evaluation = digits_run.evaluate()
    assert f"{digits_run.info['engine']} engine" in page.text
    assert digits_run.info["reason"] in page.text
    assert f"{100 * digits_run.scores['test'].accuracy:.2f} %" in page.text
    assert f"{evaluation.expected_calibration_error:.4f}" in page.text
    assert "lr = 0.05" in page.text
    assert digits_run.findings.codes == ["STOPPED_TOO_EARLY"]  # after two epochs
    assert "steepest explain rule STOPPED_TOO_EARLY" in page.text
    pictures = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert sum(p.startswith("data:image/svg+xml;base64,") for p in pictures) >= 9


def test_mistakes_on_images_are_pictures(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8)).astype(np.uint8)
    run = sp.train(None, (images, np.arange(60) % 3), epochs=1, validation=0.5, progress="none")
    page = page_of(run, tmp_path)
    pictures = [a["src"] for tag, a in page.tags if tag == "img"]
    # Twelve mistakes, each with the map of what it rests on.
    assert sum(p.startswith("data:image/png;base64,") for p in pictures) == 24


def test_nothing_comes_from_elsewhere_and_nothing_runs(digits_page):
    for tag, attributes in digits_page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "srcset", "href"):
                assert value.startswith("data:image/")
    assert "url(" not in digits_page.text  # the style is part of it
    assert "@import" not in digits_page.text


def test_both_themes_are_there_for_each_plot(digits_page):
    page = digits_page
    dark = [a["srcset"] for tag, a in page.tags if tag == "source"]
    light = [a["src"] for tag, a in page.tags if tag == "img" and "svg" in a["src"]]
    assert len(dark) == len(light) > 5
    assert all(d != li for d, li in zip(dark, light, strict=True))


def test_names_are_text(tmp_path):
    rng = np.random.default_rng(0)
    table = {
        HOSTILE: rng.normal(size=80),
        "words": [f"{HOSTILE}{i % 3}" for i in range(80)],
        "y": [HOSTILE, "b"] * 40,
    }
    import pandas as pd

    folder = tmp_path / "<script>x"
    run = sp.train(
        None, pd.DataFrame(table), target="y", epochs=2, test=0.3, progress="none", out=folder
    )
    page = page_of(run, tmp_path)
    assert "script" not in {tag for tag, _ in page.tags}
    assert HOSTILE in page.text


def test_findings_are_shown_if_there_are_any(digits_run, tmp_path, monkeypatch):
    evidence = (Evidence("loss 9", "2.3", "step 1"),)
    finding = Finding("LR_TOO_HIGH", "error", f"too high {HOSTILE}", "lr=0.1", evidence)
    monkeypatch.setattr(type(digits_run), "findings", Findings([finding]), raising=False)
    page = page_of(digits_run, tmp_path)
    assert f"LR_TOO_HIGH: too high {HOSTILE}" in page.text
    assert "loss 9, expected 2.3 (step 1)" in page.text


def test_a_run_from_a_folder_reads_its_data_again(tmp_path, steepest):
    recipe = sp.Recipe(data="iris", epochs=3, test=0.3, hidden=(8,))
    sp.train(recipe=recipe, out=tmp_path / "runs" / "iris", progress="none")
    ended = steepest("report", "runs/iris", "-o", "iris.html", "--json")
    assert (ended.code, ended.json) == (0, {"report": "iris.html"})
    page = Page((tmp_path / "iris.html").read_text("utf-8"))
    assert "On the test part, 45 rows." in page.text
    again = sp.load_run(tmp_path / "runs" / "iris")
    shown = re.search(r"On the test part.*?accuracy ([\d.]+)", page.text)[1]
    assert float(shown) == pytest.approx(again.scores["test"].accuracy, abs=1e-4)


def test_without_rows_it_says_why(blobs, tmp_path):
    run = sp.train(None, blobs, epochs=1, validation=0.0, progress="none")
    page = page_of(run, tmp_path)
    assert "the run has no test or validation part" in page.text
    run.save(tmp_path / "run")
    assert (
        "not trained on a file or a name" in page_of(sp.load_run(tmp_path / "run"), tmp_path).text
    )


def test_several_classes_in_a_row(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    run = sp.train(
        None, (X, (X[:, :3] > 0).astype(int)), task="multilabel", epochs=2, progress="none"
    )
    page = page_of(run, tmp_path)
    assert "Confusion matrix" in page.text
    assert "Most confident mistakes" not in page.text


def test_a_file_that_cannot_be_written_is_a_message(digits_run, tmp_path):
    with pytest.raises(sp.SteepestError, match="nowhere"):
        digits_run.report(tmp_path / "nowhere" / "report.html")
