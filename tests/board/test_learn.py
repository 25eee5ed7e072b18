"""Learn as a person drives it: chapters, time forward and back, faults, links, own points."""

import io
import re
from xml.etree import ElementTree

import pytest
from PIL import Image

from board.browsing import chromium, opened, picture, require_accessible


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


class Learn:
    """The page, once it has a playground."""

    def __init__(self, page, board):
        self.page = page
        page.set_default_timeout(30_000)  # the first playground waits for torch to be imported
        page.goto(f"{board.url}#token={board.token}")
        page.get_by_role("link", name="Learn").click()
        self.wait("Step · epoch", r"^0 · 0\.0$")

    def score(self, name):
        return self.page.locator(".scores div", has_text=name).locator("dd").inner_text()

    def wait(self, name, pattern):
        place = self.page.locator(".scores div", has_text=name).locator("dd")
        place.filter(has_text=re.compile(pattern)).wait_for()

    def chapter(self, name):
        box = self.page.get_by_label("Lecture")
        title = next(one for one in box.locator("option").all_inner_texts() if one.startswith(name))
        box.select_option(label=title)
        self.page.get_by_role("heading", name=title.partition(" · ")[2]).wait_for()

    def press(self, name):
        self.page.get_by_role("button", name=name).click()

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()


@pytest.fixture
def learn(browser, board):
    with opened(browser, "about:blank") as page:
        yield Learn(page, board)


@pytest.mark.parametrize(
    ("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)]
)
def test_it_plays(browser, board, width, dark):
    with opened(browser, "about:blank", width=width, dark=dark) as page:
        learn = Learn(page, board)
        page.get_by_label("a picture each").select_option("10 epochs")
        learn.press("Play")
        learn.wait("Step · epoch", r"[3-9]\d\.0|\d{3}\.0")
        learn.press("Pause")
        require_accessible(page)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(wide), "the page scrolls sideways"
        assert float(learn.score("Training accuracy").split()[0]) > 60
        picture(page, f"learn-{width}-{'dark' if dark else 'light'}")


def test_time_goes_back_and_comes_again(learn):
    learn.page.locator(".plane canvas").click()  # no field has the keys now
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowRight"):
        before = learn.score("Step · epoch")
        learn.page.keyboard.press(key)
        learn.wait("Step · epoch", f"^(?!{re.escape(before)}$)")
    there = learn.score("Step · epoch"), learn.score("Training loss")
    assert there[0].startswith("16 · ")
    learn.page.keyboard.press("Home")
    learn.wait("Step · epoch", r"^0 · ")
    learn.page.get_by_label("Step of the training").fill("16")
    learn.wait("Step · epoch", r"^16 · ")
    assert (learn.score("Step · epoch"), learn.score("Training loss")) == there


def test_a_move_that_is_asked_for_while_it_plays_is_not_lost(learn):
    learn.press("Play")
    learn.wait("Step · epoch", r"^[1-9]\d* · ")
    learn.page.get_by_label("Step of the training").fill("16")
    learn.wait("Step · epoch", r"^16 · ")
    learn.press("Play")
    learn.wait("Step · epoch", r"^(1[89]|[2-9]\d) · ")
    learn.press("Pause")
    learn.page.locator(".play", has_text="Play").wait_for()
    learn.press("Back to the start")
    learn.wait("Step · epoch", r"^0 · ")


def test_every_chapter_opens_and_can_be_read_by_all(learn):
    for number in range(1, 23):
        learn.chapter(f"L{number} ·")
        learn.wait("Step · epoch", r"^0 · ")
        learn.press("One step forward")
        learn.wait("Step · epoch", r"^1 · ")
        assert learn.page.get_by_role("alert").count() == 0
        if number in (2, 5, 8, 18, 22):
            require_accessible(learn.page)
            picture(learn.page, f"learn-L{number}")
    learn.chapter("L2 ·")
    learn.wait("Loss at start", r"^1\.609 · 1\.609$")


def test_looks_behind_the_picture(learn):
    learn.press("One epoch forward")
    learn.wait("Step · epoch", r"^14 · ")
    learn.tab("Surface")
    learn.page.get_by_text("Across: first component").wait_for()
    learn.tab("Backprop")
    learn.page.get_by_text("quantities worked out by hand agree with autograd").wait_for()
    assert learn.page.locator(".ledger math").count() > 20
    learn.tab("Updates")
    assert learn.page.get_by_role("row").count() == 4
    learn.tab("Net")
    learn.page.get_by_label("Large picture").select_option("Layer 1, unit 2")
    learn.page.get_by_text("Layer 1, unit 2", exact=False).first.wait_for()
    learn.press("Show the classes")
    learn.tab("Code")
    with learn.page.expect_download() as saved:
        learn.press("Save points.csv")
    lines = saved.value.path().read_text("utf-8").splitlines()
    assert lines[0] == "x1,x2,class"
    assert len(lines) == 301
    assert "steepest train points.csv" in learn.page.locator("pre").last.inner_text()
    require_accessible(learn.page)


@pytest.mark.parametrize(
    ("tab", "title", "rows", "head"),
    [
        ("Net", "Regions", None, ["x1", "x2", "probability of A"]),
        ("Net", "Net", 2 * 8 + 8 * 8 + 8 * 3, ["layer", "from", "to", "weight", "gradient"]),
        ("Curves", "Curves of loss", 2, ["gradients asked for", "training", "validation"]),
        ("Surface", "Loss over a plane of weights", 44 * 44, ["first component"]),
        ("Updates", "Updates beside weights", 3, ["layer", "|W|", "|dL/dW|", "|dW|/|W|"]),
    ],
)
def test_every_drawing_is_saved_as_png_svg_and_csv(learn, tab, title, rows, head):
    learn.press("One epoch forward")
    learn.wait("Step · epoch", r"^14 · ")
    learn.tab(tab)
    menu = learn.page.locator("details.menu", has=learn.page.get_by_label(f"{title}: save"))
    box = learn.page.locator(".drawing", has=menu).locator("canvas").bounding_box()
    files = {}
    for kind in ("PNG", "SVG", "CSV"):
        menu.locator("summary").click()
        with learn.page.expect_download() as saved:
            menu.get_by_role("button", name=kind).click()
        files[kind] = saved.value.path().read_bytes()
    image = Image.open(io.BytesIO(files["PNG"]))
    assert image.size == pytest.approx((2 * box["width"], 2 * box["height"]), abs=6)
    assert len(image.convert("RGB").getcolors(2**24)) > 20
    drawn = ElementTree.fromstring(files["SVG"])
    assert {one.tag.rpartition("}")[2] for one in drawn} - {"rect"}
    table = [line.split(",") for line in files["CSV"].decode().splitlines()]
    assert [name[: len(wanted)] for name, wanted in zip(table[0], head, strict=False)] == head
    assert {len(line) for line in table} == {len(table[0])}
    assert len(table) - 1 == (rows or (len(table) - 1))
    if title == "Regions":  # shares of one, to a byte
        shares = [sum(map(float, line[2:])) for line in table[1:]]
        assert min(shares) > 0.98
        assert max(shares) < 1.02
        assert len(shares) == len({tuple(line[:2]) for line in table[1:]}) > 1000


def test_a_planted_fault_is_named(learn):
    learn.tab("Health")
    for fault, code in (("zero", "SYMMETRIC_INIT"), ("too high", "LR_TOO_HIGH")):
        box = learn.page.get_by_label("Plant a fault")
        title = next(one for one in box.locator("option").all_inner_texts() if fault in one)
        box.select_option(label=title)
        learn.press("What is wrong?")
        learn.page.locator(".card", has_text=code).wait_for()
    require_accessible(learn.page)
    picture(learn.page, "learn-health")


def test_a_link_holds_the_whole_view(learn, browser):
    learn.page.get_by_label("Side by side").select_option("Optimizers")
    learn.page.get_by_label("Batch size").select_option("64")
    learn.page.get_by_role("img", name="Regions of Muon").wait_for()
    learn.page.reload()
    learn.page.get_by_role("img", name="Regions of Muon").wait_for()
    assert learn.page.get_by_label("Batch size").input_value() == "64"
    learn.press("One epoch forward")
    learn.wait("Step · epoch", r"^4 · ")


def test_own_points_and_what_is_wrong_with_them(browser, board):
    with opened(browser, "about:blank", quiet=True) as page:  # browsers complain of a refusal
        own_points(Learn(page, board))


def own_points(learn):
    learn.page.get_by_label("Points", exact=True).select_option("Own CSV")
    text = learn.page.get_by_label("One or two columns of numbers")
    text.fill('x,y,kind\n1,2,<img src=x onerror="alert(1)">\n2,1,b\n3,x,b\n4,4,b\n')
    learn.press("Use these")
    learn.page.get_by_role("alert").filter(has_text="line 4").wait_for()
    rows = "\n".join(f"{i},{i % 5},<b>{'good' if i % 2 else 'bad'}</b>" for i in range(20))
    text.fill(f"width,height,kind\n{rows}\n")
    learn.press("Use these")
    learn.page.locator(".key", has_text="<b>good</b>").first.wait_for()  # a name is text
    learn.page.get_by_label("Batch size").select_option("full")
    learn.press("One step forward")
    learn.wait("Step · epoch", r"^1 · 1\.0")
    assert learn.page.get_by_role("alert").count() == 0
