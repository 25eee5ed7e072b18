"""The report of a sweep: one page without scripts that says in text what its pictures show."""

import itertools
import math
import re
from html.parser import HTMLParser

import pytest

from made_sweeps import made_sweep
from steepest.errors import RunError

SPACE = {"lr": [0.01, 0.1, 1.0], "hidden": [(8,), (16, 16)]}


def loss(point, seed):
    if point["lr"] == 1.0:
        return None if seed else "pruned"
    return 0.3 + 0.1 * abs(math.log10(point["lr"]) + 1) + 0.001 * seed


class Page(HTMLParser):
    """Tags that are open and never closed, and what stands in some."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.headings, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))
        if tag not in ("img", "meta", "source", "br", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings.append((int(self.open[-1][1]), data))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    sweep = made_sweep(SPACE, None, loss, seeds=3)
    path = sweep.report(tmp_path_factory.mktemp("report") / "sweep.html")
    return Page(path.read_text("utf-8"))


def test_it_is_whole_and_needs_no_other_file(page):
    assert page.open == []
    assert len(page.images) == 4
    assert all(image["src"].startswith("data:image/svg") for image in page.images)
    assert all(len(image["alt"]) > 40 for image in page.images)
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_it_says_what_came_of_it(page):
    text = " ".join(" ".join(page.text).split())
    assert "lr = 0.1 beats lr = 0.01" in text or "lr = 0.1, hidden" in text or "are equal" in text
    assert "12 finished, 4 diverged, 2 pruned" in text
    assert "the loss became nan at step 3 lr=1, hidden=8" in text
    assert "2 were pruned" in text
    assert "What varies: lr = 0.01; 0.1; 1 , hidden = 8; 16,16 ; seeds 3." in text


def test_a_sweep_without_a_finished_run_has_a_report_that_says_so(tmp_path):
    broken = made_sweep({"lr": [0.1, 0.2]}, None, lambda point, seed: None)
    text = " ".join(broken.report(tmp_path / "a.html").read_text("utf-8").split())
    assert "No run has reached its end." in text
    assert text.count("no run of this sweep has reached its end (4 diverged)") >= 3
    begun = made_sweep({"lr": [0.1]}, None, lambda point, seed: "missing")
    assert "4 still missing" not in begun.report(tmp_path / "b.html").read_text("utf-8")
    assert "2 still missing" in (tmp_path / "b.html").read_text("utf-8")


def test_what_a_name_holds_is_shown_and_not_carried_out(tmp_path):
    sweep = made_sweep({"target": ["<script>alert(1)</script>", "$x$"]}, None, lambda p, s: 0.1 + s)
    text = sweep.report(tmp_path / "a.html").read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(RunError, match=r"none.*a\.html"):
        made_sweep(SPACE, None, loss).report(tmp_path / "none" / "a.html")
