"""Trainings from the page, in a real browser: begun by the form, stopped, resumed, copied."""

import re

import pytest

import steepest as sp
from board.browsing import chromium, opened, picture, require_accessible

SIZES = [(1440, False), (1440, True), (390, False), (390, True)]
SLOW = 150_000  # a process that imports torch on a busy machine


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def enter(page, name, text):
    field = page.get_by_label(name, exact=True)
    field.wait_for(state="attached")
    if not field.is_visible():  # of a folded group
        page.locator("details", has=field).locator("summary").first.press("Enter")
    if field.evaluate("one => one.tagName") == "SELECT":
        field.select_option(text)
    else:
        field.fill(text)
        field.press("Tab")


def at_the_form(page, board, query=""):
    """By the link that was printed, as its token is needed."""
    page.goto(f"{board.url}#token={board.token}")
    page.get_by_role("link", name="Train", exact=True).click()
    if query:
        page.goto(f"{board.url}#/train?{query}")
    page.get_by_role("heading", name="New training").wait_for()


def sideways(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_the_form(browser, board, width, dark):
    look = f"{width}-{'dark' if dark else 'light'}"
    with opened(browser, "about:blank", width=width, dark=dark) as page:
        at_the_form(page, board)
        require_accessible(page)
        assert page.get_by_text("name the data").count() == 0  # nobody has asked for it yet
        enter(page, "data", "digits")
        enter(page, "lr", "0.1")
        enter(page, "hidden", "64,32")
        enter(page, "check", "off") if width > 500 else None
        page.get_by_text(re.compile("settings are given")).wait_for()
        command = page.get_by_role("region", name="On the command line")
        command.get_by_text("steepest train digits --hidden 64,32").wait_for()
        picture(page, f"train-{look}")
        enter(page, "lr", "-1")
        enter(page, "dropout", "2") if width > 500 else None
        page.get_by_text("lr must be a number above 0").wait_for()
        field = page.get_by_label("lr", exact=True)
        assert field.get_attribute("aria-invalid") == "true"
        described = field.get_attribute("aria-describedby").split()
        said = [page.locator(f"[id='{one}']").inner_text() for one in described]
        assert any("must be a number above 0, or 'auto', but is -1" in one for one in said)
        require_accessible(page)
        assert not sideways(page)
        picture(page, f"train-refused-{look}")


def test_the_form_by_keyboard_and_what_is_refused_gets_the_focus(browser, board):
    with opened(browser, "about:blank", quiet=True) as page:
        at_the_form(page, board)
        page.get_by_role("button", name="Start the training").press("Enter")
        page.get_by_text("name the data").first.wait_for()
        page.locator("[data-setting='data']:focus").wait_for()
        page.keyboard.type(str(board.folder / "table.csv"))
        page.keyboard.press("Tab")
        page.get_by_text("name the data").wait_for(state="detached")
        # A setting of a folded group that is refused opens it.
        page.goto(f"{page.url}&mixup=-3")
        page.get_by_text("mixup must be a number of at least 0").wait_for()
        page.get_by_role("button", name="Start the training").press("Enter")
        page.locator("[data-setting='mixup']:focus").wait_for()
        page.get_by_role("button", name="undo mixup").press("Enter")
        # One that gets a meaning by another appears with it.
        assert page.get_by_label("nesterov", exact=True).count() == 0
        enter(page, "momentum", "0.9")
        enter(page, "nesterov", "on")
        page.get_by_text("--momentum 0.9 --nesterov").wait_for()
        enter(page, "out", "../elsewhere")
        page.get_by_text("it is a place in the folder of the board").wait_for()


def test_without_the_link_that_was_printed_nothing_can_be_begun(browser, board):
    with opened(browser, f"{board.url}#/train") as page:
        page.get_by_text("open the board by the link").wait_for()
        assert page.get_by_role("button", name="Start the training").count() == 0
        require_accessible(page)


def test_a_training_is_begun_watched_stopped_resumed_and_copied(browser, board):
    with opened(browser, "about:blank", quiet=True) as page:
        page.set_default_timeout(SLOW)
        # What only the data show is refused at its field, too.
        at_the_form(page, board, f"data={board.folder}/table.csv&target=kinds&hidden=4")
        page.get_by_role("button", name="Start the training").click()
        page.get_by_text("Starting runs/table-").wait_for()
        picture(page, "train-starting-1440-light", whole=False)
        page.locator(".wrong-text").get_by_text("has no column 'kinds'").wait_for()
        assert page.get_by_label("target", exact=True).get_attribute("aria-invalid") == "true"
        page.locator("[data-setting='target']:focus").wait_for()
        picture(page, "train-refused-by-data-1440-light", whole=False)
        enter(page, "target", "kind")
        enter(page, "epochs", "1000000")
        enter(page, "lr", "0.05")
        enter(page, "out", "runs/by form")
        page.get_by_role("button", name="Start the training").click()
        page.get_by_role("heading", name="runs/by form").wait_for()
        epochs = "Number(document.querySelector('.figures div:last-child dd').firstChild.textContent.replaceAll(',', ''))"
        page.wait_for_function(f"() => {epochs} > 20")
        picture(page, "train-running-1440-light", whole=False)
        page.get_by_role("button", name="Stop", exact=True).press("Enter")
        page.get_by_text("interrupted").first.wait_for()
        place = board.folder / "runs" / "by form"
        run = sp.load_run(place)
        assert run.status == "interrupted"
        done = run.history.height
        # On, to the end this time.
        page.get_by_role("button", name="Resume").press("Enter")
        enter(page, "epochs", "-5")
        page.get_by_role("button", name="Go on from its last checkpoint").press("Enter")
        page.get_by_text("epochs must be a whole number of at least 1").wait_for()
        page.locator("[data-setting='epochs']:focus").wait_for()
        require_accessible(page)
        picture(page, "train-resume-1440-light", whole=False)
        enter(page, "epochs", str(done + 3))
        page.get_by_role("button", name="Go on from its last checkpoint").press("Enter")
        page.get_by_text("finished").first.wait_for()
        assert sp.load_run(place).history.height == done + 3
        require_accessible(page)
        # A copy with another learning rate, and what differs.
        page.get_by_role("link", name="Copy and change").press("Enter")
        page.get_by_text("a copy of runs/by form").wait_for()
        page.get_by_text("0 settings differ from the original").wait_for()
        enter(page, "lr", "0.2")
        page.get_by_text("1 setting differs from the original").wait_for()
        page.get_by_text("was 0.05").wait_for()
        enter(page, "out", "runs/copied")
        enter(page, "check", "off")
        require_accessible(page)
        picture(page, "train-copy-1440-light")
        page.get_by_role("button", name="Start the training").click()
        page.get_by_role("heading", name="runs/copied").wait_for()
        page.get_by_text("finished").first.wait_for()
        before = sp.load_run(place).recipe.to_dict()
        copied = sp.load_run(board.folder / "runs" / "copied").recipe.to_dict()
        assert {name for name in before if copied[name] != before[name]} == {"lr", "check"}
        page.go_back()
        page.get_by_text("a copy of runs/by form").wait_for()  # not sent on to the run again
