"""Every view as a person drives it, on a run that really trains, by mouse and by keyboard."""

import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import polars as pl
import pytest
from scipy import stats

import steepest as sp
from board.browsing import FRONTEND, chromium, opened, picture, require_accessible
from board.serving import serving

# Trains for as long as the tests look on; its classes are called as an attacker would call them.
TRAINING = """
import sys, time
import steepest as sp
from board.serving import small_data
recipe = sp.Recipe(hidden=(8, 6), activation="tanh", epochs=5000, validation=0.25, log_every=2)
slowly = lambda event: time.sleep(0.1) if type(event).__name__ == "EpochFinished" else None
sp.train(None, small_data(), recipe, out=sys.argv[1], progress="none", observers=[slowly])
"""
LIVE = "<img src=x onerror=alert(3)>"
SIZES = [(1440, False), (1440, True), (390, False), (390, True)]


@pytest.fixture(scope="module")
def live(folder):
    """The folder with one more run, which trains in a process of its own."""
    place = folder / "runs" / LIVE
    command = [sys.executable, "-c", TRAINING, str(place)]
    process = subprocess.Popen(command, cwd=FRONTEND.parent / "tests")
    yield place
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def board(live, folder):
    """The board of that folder, once the run trains."""
    with serving(folder) as served:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if (served.runs().get(f"runs/{LIVE}") or {}).get("epochs"):
                break
            time.sleep(0.1)
        yield served


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def address(board, name):
    return f"{board.url}#/run/{board.runs()[name]['id']}"


def newest_epoch(place):
    with closing(sqlite3.connect(f"file:{place / 'record.sqlite'}?mode=ro", uri=True)) as record:
        return record.execute("SELECT max(epoch) FROM epochs").fetchone()[0]


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_all_runs(browser, board, width, dark):
    with opened(browser, board.url, width=width, dark=dark) as page:
        page.get_by_text("1 running").wait_for()
        page.get_by_role("row", name="sweeps/rates").wait_for()
        assert page.get_by_role("row").count() == 6  # head, four runs, a sweep
        assert page.get_by_role("link", name=LIVE).count() == 1  # its name is text
        page.get_by_role("row", name="sweeps/rates").click()
        page.get_by_role("row", name=re.compile("trial 0, seed 1")).first.wait_for()
        assert page.get_by_role("row").count() == 12
        require_accessible(page)
        picture(page, f"runs-{width}-{'dark' if dark else 'light'}", whole=False)


def test_the_table_by_keyboard_alone(browser, board):
    with opened(browser, board.url) as page:
        page.get_by_text("1 running").wait_for()
        page.get_by_role("searchbox").focus()
        page.keyboard.type("sweeps lr>0.05")
        page.get_by_text("4 of 10 runs").wait_for()
        assert "q=sweeps" in page.url  # a link holds the view
        page.get_by_role("searchbox").fill("")
        page.get_by_role("columnheader", name="val loss").get_by_role("button").press("Enter")
        assert page.locator("[aria-sort=ascending]").inner_text().startswith("val loss")
        row = page.locator("[role=row][tabindex='0']")
        row.focus()
        for key in ("End", "Home", "ArrowDown", "ArrowUp"):
            page.keyboard.press(key)
        group = page.get_by_role("row", name="sweeps/rates")
        group.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("ArrowDown")
        page.wait_for_function("() => document.activeElement.classList.contains('of-sweep')")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=re.compile("^lr ")).wait_for()
        require_accessible(page)
        picture(page, "swept-1440-light")
        page.keyboard.press("Tab")
        page.go_back()
        page.get_by_role("treegrid").wait_for()


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_a_run_while_it_trains(browser, board, live, width, dark):
    with opened(browser, address(board, f"runs/{LIVE}"), width=width, dark=dark) as page:
        page.get_by_role("heading", name=LIVE).wait_for()
        page.get_by_text(re.compile(r"updated \d\.\d s ago")).wait_for()
        seen = "document.querySelector('.figures div:last-child dd').firstChild.textContent"
        written = newest_epoch(live)
        page.wait_for_function(f"() => Number({seen}.replace(',', '')) > {written}")
        page.get_by_role("region", name="Updates beside weights").locator("image").wait_for()
        require_accessible(page)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(wide), "the page scrolls sideways"
        picture(page, f"run-{width}-{'dark' if dark else 'light'}")


def test_a_new_epoch_is_on_the_page_within_a_second(browser, board, live):
    with opened(browser, address(board, f"runs/{LIVE}")) as page:
        page.get_by_text("updated").wait_for()
        lags = []
        for _ in range(5):
            epoch = newest_epoch(live) + 1
            while newest_epoch(live) < epoch:
                time.sleep(0.01)
            begun = time.monotonic()
            page.wait_for_function(
                "epochs => Number(document.querySelector('.figures div:last-child dd').firstChild"
                ".textContent.replace(',', '')) >= epochs",
                arg=epoch + 1,
                polling=20,
            )
            lags.append(time.monotonic() - begun)
        assert min(lags) < 1, lags  # others may be late where the machine is busy


def test_curves_by_keyboard_and_as_files(browser, board):
    with opened(browser, address(board, "runs/good")) as page:
        chart = page.get_by_role("group", name=re.compile("^Loss: "))
        chart.focus()
        page.keyboard.press("Home")
        heard = chart.locator("[aria-live]")
        assert re.match(r"epoch, from 0 0: training \d\.\d+, validation", heard.inner_text())
        page.keyboard.press("ArrowRight")
        assert heard.inner_text().startswith("epoch, from 0 1: ")
        page.keyboard.press("+")
        page.get_by_role("button", name="whole range").first.wait_for()
        page.keyboard.press("Escape")
        for item, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b"epoch,step,train_")):
            menu = page.get_by_role("region", name="Loss").locator("summary")
            menu.press("Enter")
            with page.expect_download() as download:
                page.get_by_role("button", name=re.compile(f"Save .*{item}")).first.press("Enter")
            assert download.value.path().read_bytes().startswith(begins), item
        page.get_by_role("region", name="Loss").locator("summary").press("Enter")
        page.get_by_role("button", name="Show as a table").press("Enter")
        assert page.get_by_role("region", name="Loss as a table").get_by_role("row").count() == 7
        page.get_by_role("radio", name="step").check()
        page.get_by_text("minibatches").first.wait_for()
        require_accessible(page)


def test_a_menu_that_has_the_focus_goes_with_its_page(browser, board):
    with opened(browser, address(board, "runs/good")) as page:
        menu = page.get_by_role("region", name="Loss").locator("summary")
        menu.press("Enter")
        page.get_by_role("button", name="Save as PNG").first.focus()
        page.evaluate("location.hash = '#/'")
        menu.wait_for(state="detached")
        page.get_by_role("link", name="runs/good").wait_for()


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_runs_beside_each_other(browser, board, width, dark):
    sweep = sp.load_sweep(board.folder / "sweeps" / "rates")
    with opened(browser, board.url, width=width, dark=dark) as page:
        page.get_by_role("row", name="sweeps/rates").get_by_role("link").click()
        rows = page.get_by_role("region", name="What differs, group by group").get_by_role("row")
        rows.nth(3).wait_for()
        cells = [row.split("\t") for row in rows.all_inner_texts()[1:]]
        best = sp.load_sweep(board.folder / "sweeps" / "rates").results.group_by("lr").agg(
            pl.col("best_val_loss").mean()
        ).sort("best_val_loss")  # fmt: skip
        assert [row[1].strip() for row in cells] == [f"{lr:g}" for lr in best["lr"]]
        by_lr = {
            lr: sweep.results.filter(lr=lr).sort("seed")["best_val_loss"].to_numpy()
            for lr in best["lr"]
        }
        first, last = by_lr[best["lr"][0]], by_lr[best["lr"][-1]]
        interval = stats.ttest_rel(last, first).confidence_interval(0.95)
        shown = re.findall(r"[+-]?\d[\d.e-]*", cells[-1][-1])
        assert float(shown[0]) == pytest.approx((last - first).mean(), rel=0.05)
        assert float(shown[1]) == pytest.approx((interval.high - interval.low) / 2, rel=0.05)
        page.locator("path.gap").nth(2).wait_for()
        page.get_by_label("by").first.select_option("val_acc")
        assert "metric=val_acc" in page.url
        page.reload()
        page.get_by_role("heading", name="One setting against validation accuracy").wait_for()
        page.locator("path.gap").first.wait_for()
        require_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        picture(page, f"compare-{width}-{'dark' if dark else 'light'}")


def test_no_view_is_wider_than_a_small_telephone(browser, board):
    sweep = next(iter(board.ask("/api/runs").json["sweeps"]))["id"]
    good = address(board, "runs/good").partition("#")[2]
    with opened(browser, board.url, width=360) as page:
        for view in ("/runs", good, f"/compare?sweep={sweep}", "/compare"):
            page.goto(f"{board.url}#{view}")
            page.get_by_role("main").wait_for()
            page.wait_for_timeout(400)
            assert page.evaluate("document.documentElement.scrollWidth") == 360, view


def test_runs_are_chosen_by_the_space_bar(browser, board):
    with opened(browser, board.url) as page:
        for name in ("runs/good", "runs/hot"):
            page.get_by_role("row", name=name).focus()
            page.keyboard.press(" ")
        page.get_by_role("link", name="Compare 2").press("Enter")
        page.get_by_role("heading", name="2 runs").wait_for()
        rows = page.get_by_role("region", name="What differs, group by group").get_by_role("row")
        assert rows.count() == 3
        assert "10000" in rows.nth(1).inner_text() + rows.nth(2).inner_text()
        require_accessible(page)


def test_a_finding_shows_its_evidence_and_its_fix_can_be_copied(browser, board):
    with opened(browser, address(board, "runs/hot")) as page:
        card = page.get_by_role("article").first
        card.get_by_text("expected", exact=True).wait_for()
        fix = card.locator(".fix code").inner_text()
        card.get_by_role("button", name="Copy the fix").press("Enter")
        card.get_by_role("button", name="Copied the fix").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == fix
        require_accessible(page)
        picture(page, "findings-1440-light")


def test_predictions_are_computed_when_one_asks(browser, board):
    where = address(board, "runs/table")
    with opened(browser, where) as page:  # without the link that was printed
        page.get_by_text("To compute them here, open the board by the link").wait_for()
    with opened(browser, f"{board.url}#token={board.token}") as page:
        page.get_by_role("row", name="runs/table").wait_for()
        page.goto(where)
        page.get_by_role("button", name="Evaluate on the held-out rows").press("Enter")
        page.get_by_role("region", name="Confusion matrix").wait_for(timeout=150_000)
        run = sp.load_run(board.folder / "runs" / "table")
        evaluation = run.evaluate()
        cells = page.get_by_role("region", name="Confusion matrix").locator("rect title")
        assert cells.all_text_contents() == [
            f"{true} predicted as {said}: {n}"
            for true, row in zip(run.classifier.classes.names, evaluation.confusion, strict=True)
            for said, n in zip(run.classifier.classes.names, row, strict=True)
        ]
        require_accessible(page)
        picture(page, "predictions-1440-light")


def test_the_page_says_when_the_board_is_gone(browser, folder):
    with opened(browser, "about:blank", quiet=True) as page:
        with serving(folder) as board:
            page.goto(address(board, "runs/good"))
            page.get_by_role("heading", name="runs/good").wait_for()
        page.get_by_text("no answer from the board").wait_for()
        page.get_by_role("heading", name="runs/good").wait_for()  # what was there stays


def test_the_theme_is_kept(browser, board):
    with opened(browser, board.url) as page:
        page.get_by_label("Colours").select_option("dark")
        page.reload()
        page.get_by_role("treegrid").wait_for()
        assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


def test_a_printed_page_is_black_on_white(browser, board):
    with opened(browser, address(board, "runs/good"), dark=True) as page:
        page.get_by_role("heading", name="Curves").wait_for()
        page.emulate_media(media="print")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert page.get_by_role("navigation", name="Views").is_hidden()
