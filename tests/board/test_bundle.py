"""The committed bundle is what the sources build, is small, and loads nothing from elsewhere."""

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONTEND, STATIC = ROOT / "frontend", ROOT / "src" / "steepest" / "board" / "static"


def test_the_bundle_is_what_the_sources_build(tmp_path):
    if shutil.which("node") is None or not (FRONTEND / "node_modules" / "esbuild").exists():
        pytest.skip("Node or the packages of frontend/ are not installed: make board")
    subprocess.run(["node", FRONTEND / "build.mjs", tmp_path], check=True, timeout=60)
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_bytes() for path in STATIC.iterdir()}, "run make board"


def test_the_bundle_is_small_and_names_no_other_machine():
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in STATIC.iterdir()}
    assert sum(sizes.values()) < 200 * 1024, sizes
    for path in STATIC.iterdir():
        named = re.findall(rb"https?://[\w.]+", path.read_bytes())
        assert set(named) <= {b"http://www.w3.org"}, path  # the names of SVG and XHTML
    page = (STATIC / "index.html").read_text("utf-8")
    assert not re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|style=", page)


def test_the_lock_file_names_no_registry():
    lock = json.loads((FRONTEND / "package-lock.json").read_text("utf-8"))
    packages = [one for name, one in lock["packages"].items() if name]
    assert packages
    assert all("resolved" not in one and one["integrity"] for one in packages)
