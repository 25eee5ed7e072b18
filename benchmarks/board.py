"""The board over many runs: how soon the page shows them, and what its server takes.

    python benchmarks/board.py [--swept 10000] [--single 1000]

Makes a folder with a sweep and single runs by what writes their records, but trains nothing. Times
are those of a browser where playwright and chromium are installed, else of the answers alone.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import numpy as np

from steepest.recipe import Recipe
from steepest.run import EpochFinished, Record, RunStarted, begin_run_folder
from steepest.sweeps.record import RunRow, SweepRecord


def make_sweep(folder: Path, runs: int) -> None:
    """A sweep of so many runs, of two epochs each."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with closing(SweepRecord.create(folder)) as record:
        recipe = Recipe(data="digits", hidden=(64,), validation=0.2)
        record.put_facts({"recipe": recipe.to_toml(), "space": {"lr": [], "batch_size": []}})
        trials = [{"lr": float(10 ** rng.uniform(-4, 1)), "batch_size": 32} for _ in range(runs)]
        record.put_trials(0, trials)
        record.put_plan((i, 0, f"{i:016x}") for i in range(runs))
        for i in range(runs):
            loss, acc = float(rng.gamma(2, 0.2)), float(rng.uniform(0.5, 1))
            name, status = f"{i:016x}", "finished" if i % 50 else "diverged"
            row = RunRow(name, status, None, 2, 80, loss, acc, loss, acc, loss, acc, 1, loss, 0.2)
            epochs = (EpochFinished(e, 40 * e, loss, acc, loss, acc, 0.1, 0.1) for e in range(2))
            record.put_run(row, epochs)


def make_runs(folder: Path, runs: int) -> None:
    """So many folders of single runs."""
    first = folder / "run-00000"
    first.mkdir(parents=True)
    begin_run_folder(first, Recipe(data="digits", hidden=(64,), validation=0.2))
    with closing(Record.create(first / "record.sqlite")) as record:
        record(RunStarted(Recipe(), "native", "it runs all", 1438, 45, 450, 2.4, 2.3, ()))
        for epoch in range(10):
            record(EpochFinished(epoch, 45 * (epoch + 1), 0.3, 0.9, 0.4, 0.9, 0.1, 0.1 * epoch))
    for i in range(1, runs):
        shutil.copytree(first, folder / f"run-{i:05d}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swept", type=int, default=10_000)
    parser.add_argument("--single", type=int, default=1_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        if asked.swept:
            make_sweep(root / "sweep", asked.swept)
        if asked.single:
            make_runs(root / "runs", asked.single)
        print(json.dumps(measure(root, asked.swept + asked.single), indent=1))


def measure(root: Path, runs: int) -> dict[str, object]:
    """Seconds from the start of the command, and megabytes of the server."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "steepest", "board", root, "--port", "0", "--no-browser"]
    process = subprocess.Popen([*map(str, command), "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = json.loads(process.stdout.readline())["url"]
        found: dict[str, object] = {"runs": runs, "server is up": _since(begun)}
        found |= _in_browser(url, runs) or _answers(url)
        if os.path.exists(f"/proc/{process.pid}/status"):
            status = Path(f"/proc/{process.pid}/status").read_text()
            kilobytes = int(status.split("VmRSS:")[1].split()[0])
            found["server, MB"] = round(kilobytes / 1000)
        return found
    finally:
        process.terminate()
        process.wait()


def _in_browser(url: str, runs: int) -> dict[str, object] | None:
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if chromium is None:
        return None
    with sync_playwright() as started:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page()
        page.goto("about:blank")
        found: dict[str, object] = {}
        for visit in ("first visit", "second visit"):
            begun = time.perf_counter()
            page.goto(url if visit == "first visit" else url.partition("#")[0])
            page.locator("[data-line]").first.wait_for()
            found[f"{visit}: first rows"] = _since(begun)
            page.get_by_text(f"{runs:,} runs").first.wait_for(timeout=120_000)
            page.get_by_text("still to be read").wait_for(state="detached", timeout=120_000)
            found[f"{visit}: all rows"] = _since(begun)
            timing = "performance.getEntriesByType('paint')[0].startTime"
            found[f"{visit}: first paint"] = round(page.evaluate(timing) / 1000, 3)
            page.goto("about:blank")
        page.goto(url.partition("#")[0])
        page.get_by_text(f"{runs:,} runs").first.wait_for(timeout=120_000)
        begun = time.perf_counter()
        page.get_by_role("searchbox").fill("00 loss<9")
        page.get_by_text(" of ").first.wait_for()
        found["filter"] = _since(begun)
        begun = time.perf_counter()
        page.get_by_role("columnheader", name="val loss").get_by_role("button").click()
        page.locator("[aria-sort=ascending]").wait_for()
        found["sort"] = _since(begun)
        browser.close()
    return found


def _answers(url: str) -> dict[str, object]:
    begun = time.perf_counter()
    address = url.partition("#")[0]
    while json.load(urllib.request.urlopen(f"{address}api/runs"))["unread"]:
        pass
    return {"all single runs": _since(begun)}


def _since(begun: float) -> float:
    return round(time.perf_counter() - begun, 3)


if __name__ == "__main__":
    main()
