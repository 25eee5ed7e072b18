"""docs/architecture.md says what the tree and the imports are."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "steepest"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


@pytest.fixture(scope="module")
def rooms():
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "docs" / "hooks" / "rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows():
    """(room, cells) of the table of rooms; a row without a room goes on with the one above."""
    room = ""
    table = PAGE.split("| room | what is in it |")[1].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        first, *others = line.strip("| ").split("|") if line[2] == "`" else ["", line]
        room = first.strip(" `") or room
        yield room, " ".join(others)


def test_the_table_has_every_room_from_the_top_and_no_other(rooms):
    named = list(dict.fromkeys(room for room, _ in rows()))
    assert sorted(named) == rooms.rooms()
    # In the order of the contract of lint-imports: what stands above may import what stands below.
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    contract = next(c for c in tool["importlinter"]["contracts"] if c["id"] == "rooms")
    layer = {name: i for i, row in enumerate(contract["layers"]) for name in row.split(" | ")}
    places = [layer[room.removesuffix("/").removesuffix(".py")] for room in named]
    assert places == sorted(places)


def test_files_and_folders_that_a_room_names_are_there():
    for room, text in rows():
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", text):
            place = SOURCE / room
            there = list(place.rglob(name.rstrip("/"))) if place.is_dir() else []
            assert there or (SOURCE / name).exists(), f"{room} names {name}"


def test_every_package_in_a_room_is_named():
    text = {}
    for room, cells in rows():
        text[room] = text.get(room, "") + cells
    for package in SOURCE.rglob("__init__.py"):
        parts = package.parent.relative_to(SOURCE).parts
        if len(parts) > 1:
            assert f"`{parts[-1]}/`" in text[f"{parts[0]}/"], package


def test_the_native_files_that_are_named_are_there():
    paragraph = PAGE.split("`src/native/` is")[1].split("\n\n")[0]
    for name in re.findall(r"`([\w*]+\.(?:cpp|h|inc))`", paragraph):
        assert list((ROOT / "src" / "native").glob(name)), name


def test_the_picture_is_drawn_from_the_imports(rooms):
    drawn = re.findall(r">([\w/.]+)</text>", rooms.PICTURE.read_text("utf-8"))
    assert sorted(drawn) == rooms.rooms()
    assert rooms.PICTURE.read_text("utf-8") == rooms.draw(), "run python docs/hooks/rooms.py"


def test_an_arrow_that_a_longer_way_implies_is_left_out(rooms):
    assert rooms.arrows({("a", "b"), ("b", "c"), ("a", "c")}) == [("a", "b"), ("b", "c")]
    assert len(rooms.imports()) > 2 * len(rooms.arrows(rooms.imports())) > 20


def test_what_is_said_of_single_files_holds():
    binds = [p.name for p in (ROOT / "src/native").glob("*") if "nanobind" in p.read_text("utf-8")]
    assert binds == ["bindings.cpp"]  # "only bindings.cpp knows Python"
    asks = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(r"import_module\(\"steepest._native|import _native", path.read_text("utf-8"))
    ]
    assert asks == ["extension.py"]  # "the only Python that imports it"


def test_what_is_often_looked_for_is_where_the_page_says():
    table = PAGE.split("## Often looked for")[1].split("\n## ")[0]
    places = re.findall(r"`([^`]+)`(?: below `[^`]+`)? in `([\w/]+\.\w+)`", table)
    assert len(places) >= 8
    for text, name in places:
        file = SOURCE.parent / name if name.startswith("native/") else SOURCE / name
        assert text in file.read_text("utf-8"), f"{name} has no {text}"
