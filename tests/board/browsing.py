"""Pages in a real browser, without a network, that tell of every error and of every request."""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FRONTEND = Path(__file__).parents[2] / "frontend"
AXE = FRONTEND / "node_modules" / "axe-core" / "axe.min.js"
# Where pictures of the pages are kept, for people to look at: nowhere unless it is named.
PICTURES = os.environ.get("STEEPEST_SCREENSHOTS")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@contextmanager
def chromium():
    """A browser; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser, url, *, width=1440, dark=False, quiet=False, own=r"http://127\.0\.0\.1:\d+/"):
    """A page at this address; what it complains of, or asks of another machine, fails the test.

    quiet: complaints are what is asked for. own: what it may ask for, beside what is within it.
    """
    scheme = "dark" if dark else "light"
    height = 900 if width > 500 else 780
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page, faults = context.new_page(), []
    page.on("console", lambda said: said.type == "error" and faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    may = re.compile(f"({own}|data:|blob:)")
    page.on("request", lambda r: may.match(r.url) or faults.append(f"request: {r.url}"))
    page.set_default_timeout(40_000)  # machines may be busy
    try:
        page.goto(url)
        yield page
        assert quiet or not faults, faults
    except Exception as error:
        error.add_note(f"the page showed: {page.inner_text('body', timeout=2000)[:3000]}")
        raise
    finally:
        context.close()


def picture(page, name, *, whole=True):
    """Keep a picture of the page, if anybody wants to look at it."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=whole)


def require_accessible(page):
    """Fail where axe finds a violation of WCAG 2.2 A or AA, or of its best practices."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci --ignore-scripts in frontend/")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    shown = [
        (one["id"], one["help"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found
    ]
    assert not shown, shown
