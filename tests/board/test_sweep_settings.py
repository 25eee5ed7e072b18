"""Which settings matter, on the page of a sweep: the numbers are those of the sweep's own methods."""

import re

import pytest

import steepest as sp
from board.browsing import chromium, opened, picture, require_accessible
from board.serving import serving, small_data
from steepest.board.computed import SWEEP_SETTINGS, computed
from steepest.board.export import export_page
from steepest.board.sweep_settings import settings
from steepest.report.sweeps.heatmap import heatmap_cells


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A sweep over three settings, of which a corner diverges."""
    root = tmp_path_factory.mktemp("settings")
    recipe = sp.Recipe(hidden=(4,), epochs=2, validation=0.25, check=False, init="ones")
    space = {"lr": [0.01, 0.1, 1e30], "batch_size": [8, 32], "activation": ["relu", "tanh"]}
    sp.sweep(recipe, space, data=small_data(), seeds=2, out=root / "sweep", progress="none")
    return root


@pytest.fixture(scope="module")
def told(place):
    found = computed(SWEEP_SETTINGS, place / "sweep")
    assert found["state"] == "done", found
    return found["found"]


def test_importance_is_that_of_the_sweep(place, told):
    sweep = sp.load_sweep(place / "sweep")
    assert told["runs"] == 24
    for metric, column in (("val_loss", "best_val_loss"), ("val_acc", "val_acc")):
        wanted, found = sweep.importance(column), told["metrics"][metric]["importance"]
        assert found["settings"] == wanted.settings.to_dicts()
        assert (found["explained"], found["runs"]) == (wanted.explained, wanted.runs)
    assert (
        "test_acc" in told["metrics"]["test_acc"]["importance"]["problem"]
    )  # there is no test part


def test_heatmaps_are_those_of_the_sweep(place, told):
    sweep = sp.load_sweep(place / "sweep")
    maps = told["metrics"]["val_loss"]["heatmaps"]
    assert len(maps) == 3
    for pair, cells in maps.items():
        wanted = heatmap_cells(sweep, *pair.split(), "best_val_loss")
        assert (cells["columns"], cells["rows"]) == (wanted.columns, wanted.rows)
        assert cells["counts"] == wanted.counts.tolist()
        assert cells["runs"] == wanted.runs.tolist()
        for row, means in zip(cells["means"], wanted.means.tolist(), strict=True):
            assert [float(mean) for mean in row] == pytest.approx(means, nan_ok=True)
    missing = [m for cells in maps.values() for row in cells["means"] for m in row if m == "NaN"]
    assert missing  # where every run diverged


def test_the_page_shows_them_and_its_address_holds_the_choice(place, told):
    with serving(place) as board, chromium() as browser:
        (sweep,) = board.ask("/api/runs").json["sweeps"]
        where = f"{board.url}#/compare?sweep={sweep['id']}"
        with opened(browser, where) as page:  # without the link that was printed
            page.get_by_text("To work it out, open the board by the link").wait_for()
        assert board.ask(f"/api/sweeps/{sweep['id']}/settings").json == {"state": "none"}
        with opened(browser, f"{board.url}#token={board.token}", width=390) as page:
            page.get_by_role("row", name="sweep").get_by_role("link").click()
            bars = page.get_by_role("region", name="Importance of settings")
            bars.locator("rect.alone").nth(2).wait_for(timeout=150_000)
            first = told["metrics"]["val_loss"]["importance"]["settings"][0]
            assert bars.locator("text.value").first.text_content() == first["setting"]
            assert f"{100 * first['alone']:.0f} %" in bars.locator(".plot svg").text_content()
            cells = page.get_by_role("region", name="Two settings")
            cells.get_by_label("setting up").select_option("activation")
            cells.get_by_label("setting across").select_option("batch_size")
            assert {"x=batch_size", "y=activation"} <= set(re.split("[?&]", page.url))
            page.reload()
            assert cells.get_by_label("setting across").input_value() == "batch_size"
            cells.locator("rect title").nth(3).wait_for(state="attached")
            titles = cells.locator("rect title").all_text_contents()
            pair = told["metrics"]["val_loss"]["heatmaps"]
            shown = pair.get("batch_size activation") or pair["activation batch_size"]
            assert len(titles) == 4
            counts = sorted(n for row in shown["counts"] for n in row)
            assert sorted(int(re.search(r"(\d+) of", one)[1]) for one in titles) == counts
            require_accessible(page)
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            picture(page, "settings-390-light")


def test_a_file_has_them_too(place, told, tmp_path):
    path = tmp_path / "page.html"
    export_page(place, path)
    with (
        chromium() as browser,
        opened(browser, path.as_uri(), own=re.escape(path.as_uri())) as page,
    ):
        page.get_by_role("row", name="sweep").get_by_role("link").click()
        page.get_by_role("region", name="Importance of settings").locator("rect.alone").nth(
            2
        ).wait_for()
        assert page.get_by_role("region", name="Two settings").locator("rect title").count() >= 4


def test_of_one_setting_there_is_no_heatmap(tmp_path):
    recipe = sp.Recipe(hidden=(4,), epochs=1, validation=0.25)
    sp.sweep(recipe, {"lr": [0.1, 1]}, data=small_data(), out=tmp_path / "one", progress="none")
    assert (
        "two settings that vary"
        in settings(tmp_path / "one")["metrics"]["val_loss"]["heatmaps"]["problem"]
    )
