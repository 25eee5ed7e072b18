"""The board as a file: opened from the disk, without a server or a network, it is the same page."""

import json
import re
import shutil
from pathlib import Path

import pytest

from board.browsing import chromium, opened, picture, require_accessible
from board.serving import serving
from steepest.board.export import export_page
from steepest.board.reading import as_json
from steepest.errors import RunError

TABLES = "/api/(board|runs|runs/stream|sweeps/[0-9a-f]{16}/runs)"


@pytest.fixture(scope="module")
def still(folder, tmp_path_factory):
    """Three runs and a sweep of six, of which none trains."""
    place = tmp_path_factory.mktemp("still")
    for name in ("runs/good", "runs/hot", "runs/table", "sweeps/rates"):
        shutil.copytree(folder / name, place / name)
    return place


@pytest.fixture(scope="module")
def exported(still, tmp_path_factory):
    """The page of that folder."""
    path = tmp_path_factory.mktemp("exported") / "page.html"
    found = export_page(still, path)
    assert (found.size, found.runs, found.left_out) == (path.stat().st_size, 9, [])
    return path


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def answers(path):
    text = path.read_text("utf-8")
    return json.loads(re.search('id="answers">(.*?)</script>', text)[1])


@pytest.mark.parametrize(
    ("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)]
)
def test_it_opens_from_the_disk_without_a_network(browser, exported, width, dark):
    where = exported.as_uri()
    look = f"file-{width}-{'dark' if dark else 'light'}"
    with opened(browser, where, width=width, dark=dark, own=re.escape(where)) as page:
        page.get_by_text("A copy of").wait_for()
        page.get_by_role("row", name="sweeps/rates").click()
        page.get_by_role("row", name=re.compile("trial 0, seed 1")).first.wait_for()
        require_accessible(page)
        picture(page, f"{look}-runs", whole=False)
        page.get_by_role("link", name="runs/good").click()
        page.get_by_role("region", name="Updates beside weights").locator("image").wait_for()
        page.get_by_text("A file cannot compute them").wait_for()
        require_accessible(page)
        picture(page, f"{look}-run")
        page.get_by_role("link", name="steepest").first.click()
        page.get_by_role("row", name="sweeps/rates").get_by_role("link").click()
        page.locator("path.gap").nth(2).wait_for()
        page.get_by_label("by").first.select_option("val_acc")
        page.reload()
        page.get_by_role("heading", name="One setting against validation accuracy").wait_for()
        page.locator("path.gap").first.wait_for()
        require_accessible(page)
        picture(page, f"{look}-compare")


def test_it_is_driven_as_the_served_page_is(browser, exported):
    where = exported.as_uri()
    with opened(browser, where, own=re.escape(where)) as page:
        page.get_by_role("searchbox").fill("sweeps lr>0.05")
        page.get_by_text("4 of 9 runs").wait_for()
        page.get_by_role("searchbox").fill("")
        page.get_by_role("link", name="runs/hot").click()
        fix = page.get_by_role("article").first.locator(".fix code")
        assert fix.inner_text()
        chart = page.get_by_role("group", name=re.compile("^Loss: "))
        chart.focus()
        page.keyboard.press("Home")
        assert "training" in chart.locator("[aria-live]").inner_text()
        for item, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b'"epoch, from 0",tr')):
            page.get_by_role("region", name="Loss").locator("summary").press("Enter")
            with page.expect_download() as download:
                page.get_by_role("button", name=re.compile(f"Save .*{item}")).first.press("Enter")
            assert download.value.path().read_bytes().startswith(begins), item
        page.emulate_media(media="print")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        page.emulate_media(media="screen")
        page.goto(f"{where}#/learn")
        page.get_by_text("What stands here trains, which a file cannot").wait_for()
        assert page.get_by_role("link", name="Learn").count() == 0
        page.goto(f"{where}#/run/0123456789abcdef")
        page.get_by_text("This was left out").wait_for()


def test_its_answers_are_those_of_the_server(exported, still):
    with serving(still) as board:
        compare_answers(answers(exported), board)


def compare_answers(found, board):
    rows = board.runs()
    table = dict(zip(found["/api/runs"]["columns"], found["/api/runs"]["runs"], strict=True))
    assert sorted(table["name"]) == sorted(rows)
    for row in rows.values():
        assert found[f"/api/runs/{row['id']}"] == board.ask(f"/api/runs/{row['id']}").json
    (sweep,) = found["/api/runs"]["sweeps"]
    served = board.ask(f"/api/sweeps/{sweep['id']}/runs").json
    assert found[f"/api/sweeps/{sweep['id']}/runs"] == served
    for run in served["columns"]["run"]:
        path = f"/api/sweeps/{sweep['id']}/runs/{run}"
        assert found[path] == board.ask(path).json


def test_names_of_classes_and_runs_do_not_break_out_of_it(exported):
    text = exported.read_text("utf-8")
    assert len(re.findall("<script", text)) == len(re.findall("</script", text)) == 2
    assert not re.findall("<!--", text.partition("<head>")[2])
    policy = re.search('Policy" content="(.*?)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    classes = [page["classes"] for page in answers(exported).values() if "classes" in page]
    assert any("</script><script>alert(2)</script>" in names for names in classes)


def test_what_makes_it_too_large_is_left_out_and_told(browser, still, exported, tmp_path):
    path = tmp_path / "small.html"
    sizes = {one: len(one) + 4 + len(as_json(answer)) for one, answer in answers(exported).items()}
    tables = sum(size for one, size in sizes.items() if re.fullmatch(TABLES, one))
    page = max(size for one, size in sizes.items() if re.fullmatch("/api/runs/[0-9a-f]{16}", one))
    for room, pages in ((1500, 0), (3 * page, 1)):
        found = export_page(still, path, most_bytes=tables + room)
        kept = answers(path)
        here = [one for one in kept if re.fullmatch("/api/runs/[0-9a-f]{16}", one)]
        swept = [one.rpartition("/")[2] for one in kept if re.match("/api/sweeps/.*/runs/", one)]
        assert len(here) == pages
        assert found.left_out[0] == f"the pages of {3 - pages} of 3 runs, those written first"
        table = next(kept[one] for one in kept if re.fullmatch("/api/sweeps/[0-9a-f]+/runs", one))
        by_loss = zip(table["columns"]["val_loss"], table["columns"]["run"], strict=True)
        assert swept == [run for _, run in sorted(by_loss)][: len(swept)]
        assert swept
        words = f"the pages of {6 - len(swept)} of 6 runs of sweeps/rates, the worst"
        assert found.left_out[1:] == ([words] if len(swept) < 6 else [])
        with opened(browser, path.as_uri(), own=re.escape(path.as_uri())) as page_:
            page_.get_by_text(found.left_out[-1]).wait_for()
            page_.get_by_role("row", name="sweeps/rates").get_by_role("link").click()
            page_.get_by_role("heading", name="sweeps/rates").wait_for()
            lacks = page_.get_by_text("the file lacks the curves of")
            assert lacks.count() == (len(swept) < 6)


def test_only_such_a_page_is_written_over(still, tmp_path, steepest):
    path = tmp_path / "notes.html"
    path.write_text("<!doctype html> my notes", "utf-8")
    ended = steepest("board", still, "--export", path)
    assert ended.code == 2
    assert "exists and is no page of steepest board" in ended.err
    assert path.read_text("utf-8") == "<!doctype html> my notes"
    path.unlink()
    for _ in range(2):
        ended = steepest("board", still, "--export", path, "--json")
        told = {"page": str(path), "bytes": path.stat().st_size, "runs": 9, "left_out": []}
        assert json.loads(ended.out) == told
    ended = steepest("board", still, "--export", path, "--port", "9000")
    assert (ended.code, "serves nothing" in ended.err) == (2, True)
    with pytest.raises(RunError, match="is a folder; name a file"):
        export_page(still, tmp_path)
    with pytest.raises(RunError, match="cannot write"):
        export_page(still, tmp_path / "nowhere" / "page.html")
    assert [one.name for one in Path(tmp_path).iterdir()] == ["notes.html"]
