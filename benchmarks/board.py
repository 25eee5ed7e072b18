"""The board: how soon it shows many runs, how fast Learn plays, and what that takes.

    python benchmarks/board.py [--swept 10000] [--single 1000] [--play 10] [--hour 120] [--pairs 6]

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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

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
    parser.add_argument("--play", type=float, default=10, help="Seconds of each of Learn's.")
    parser.add_argument("--hour", type=float, default=0, help="Seconds for an hour's events.")
    parser.add_argument("--pairs", type=int, default=0, help="Trainings with and without a page.")
    if sys.argv[1:2] == ["--write-hour"]:
        write_hour(Path(sys.argv[2]), float(sys.argv[3]))
        return
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, _browser() as browser:
        root = Path(place)
        if asked.swept:
            make_sweep(root / "sweep", asked.swept)
        if asked.single:
            make_runs(root / "runs", asked.single)
        found: dict[str, object] = {}
        if asked.swept + asked.single:
            found |= measure(root, asked.swept + asked.single, browser)
        if asked.play and browser is not None:
            (root / "empty").mkdir()
            found |= play(browser, root / "empty", asked.play)
        if asked.hour and browser is not None:
            found |= watch_an_hour(browser, root / "live", asked.hour)
        if asked.pairs and browser is not None:
            found |= slow_down(browser, root / "watched", asked.pairs)
        print(json.dumps(found, indent=1))


@contextmanager
def _served(root: Path) -> Iterator[tuple[str, int]]:
    """Address and process of the board of a folder."""
    command = [sys.executable, "-m", "steepest", "board", root, "--port", "0", "--no-browser"]
    process = subprocess.Popen([*map(str, command), "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _browser() -> Iterator[Any]:
    """Chromium, or None where playwright or it is not installed."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        yield None
        return
    if chromium is None:
        yield None
        return
    with sync_playwright() as started:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


def measure(root: Path, runs: int, browser: Any) -> dict[str, object]:
    """Seconds from the start of the command, and megabytes of the server."""
    begun = time.perf_counter()
    with _served(root) as (url, server):
        found: dict[str, object] = {"runs": runs, "server is up": _since(begun)}
        found |= _answers(url) if browser is None else _visits(browser, url, runs)
        if os.path.exists(f"/proc/{server}/status"):
            found["server, MB"] = round(_kilobytes(server) / 1000)
        return found


def _kilobytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


def _visits(browser: Any, url: str, runs: int) -> dict[str, object]:
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
    page.close()
    return found


def play(browser: Any, root: Path, seconds: float) -> dict[str, object]:
    """Pictures a second of Learn at one step each, and what one takes of each process."""
    found: dict[str, object] = {}
    with _served(root) as (url, server):
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("link", name="Learn").click()
        for kind, choice in (("2-8-8-3", "One net"), ("a hundred seeds", "100 seeds")):
            page.get_by_label("Side by side").select_option(choice)
            page.get_by_text("Loss at start").wait_for(timeout=120_000)
            page.locator(".play:enabled").first.wait_for(timeout=120_000)
            page.get_by_role("button", name="Play").click()
            page.wait_for_timeout(1000)
            before, begun = _taken(browser, page, server), time.perf_counter()
            page.wait_for_timeout(1000 * seconds)
            after, took = _taken(browser, page, server), time.perf_counter() - begun
            page.get_by_role("button", name="Pause").click()
            pictures = after.pop("steps") - before.pop("steps")
            found[f"{kind}: pictures a second"] = round(pictures / took, 1)
            for name in after:
                each = 1000 * (after[name] - before[name]) / pictures
                found[f"{kind}: {name}, ms of its processors each"] = round(each, 1)
        page.close()
    return found


def watch_an_hour(browser: Any, root: Path, seconds: float) -> dict[str, object]:
    """What a page and its server hold after a fifth of an hour's events, and after all of them.

    An hour: 3,600 epochs of 10 recorded intervals with 4 layers each, written in so many seconds.
    """
    writer = subprocess.Popen(
        [sys.executable, __file__, "--write-hour", root / "run", str(seconds)]
    )
    found: dict[str, object] = {}
    while not (root / "run" / "record.sqlite").exists():
        time.sleep(0.05)
    with _served(root) as (url, server):
        page = browser.new_page()
        page.goto(url)
        page.locator("[role=row] a").first.click()
        page.get_by_role("heading", name="Layers").wait_for(timeout=120_000)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        for share in (0.2, 1.0):
            epochs = f"Number({_EPOCHS}.replace(',', '')) >= {int(3600 * share)}"
            page.wait_for_function(f"() => {epochs}", timeout=3_600_000)
            page.wait_for_timeout(1500)
            devtools.send("HeapProfiler.collectGarbage")
            told = devtools.send("Performance.getMetrics")["metrics"]
            held = {one["name"]: one["value"] for one in told}
            when = f"after {share:.0%} of an hour's events"
            found[f"{when}: page, MB"] = round(held["JSHeapUsedSize"] / 1e6, 1)
            found[f"{when}: nodes"] = round(held["Nodes"])
            found[f"{when}: listeners"] = round(held["JSEventListeners"])
            found[f"{when}: server, MB"] = round(_kilobytes(server) / 1000, 1)
        page.close()
    writer.terminate()
    writer.wait()
    return found


_EPOCHS = "document.querySelector('.figures div:last-child dd').firstChild.textContent"


def write_hour(folder: Path, seconds: float) -> None:
    """A run's record with an hour's events, written in so many seconds; then it stays open."""
    folder.mkdir(parents=True)
    begin_run_folder(folder, Recipe(data="digits", hidden=(64,), epochs=3700, validation=0.2))
    rng = np.random.default_rng(0)
    with closing(Record.create(folder / "record.sqlite")) as record:
        record(RunStarted(Recipe(), "native", "it runs all", 1438, 45, 3700 * 45, 2.4, 2.3, ()))
        begun = time.monotonic()
        for epoch in range(3600):
            for i in range(10):
                step = 45 * epoch + 4 * i + 4
                record._insert("intervals", (epoch, 4 * i, step, 0.1, 32, float(rng.gamma(2)), 0.9))
                for layer in "0246":
                    row = (step, layer, 1.0, *map(float, rng.uniform(1e-4, 1e-2, 5)))
                    record._insert("layers", row)
            loss = float(rng.gamma(2, 0.2))
            record(EpochFinished(epoch, 45 * (epoch + 1), loss, 0.9, loss, 0.9, 0.1, float(epoch)))
            record.commit()
            time.sleep(max(0.0, begun + (epoch + 1) * seconds / 3600 - time.monotonic()))
        time.sleep(3600)


def slow_down(browser: Any, root: Path, pairs: int) -> dict[str, object]:
    """How much longer a training takes whose page is open, in alternation with one that is not."""
    root.mkdir()
    ratios: dict[str, list[float]] = {"wall": [], "processor": []}
    with _served(root) as (url, _):
        page = browser.new_page()
        page.goto(url)
        for i in range(pairs):
            alone = _train(root.parent / f"alone-{i}")
            watched = _train(root / f"watched-{i}", page)
            for name, ratio in ratios.items():
                ratio.append(watched[name] / alone[name])
            page.goto(f"{url.partition('#')[0]}#/runs")
        page.close()
    return {
        f"a training whose page is open, {name} time, of {pairs} pairs": {
            "median": round(float(np.median(ratio)), 3), "all": [round(one, 3) for one in ratio],
        }
        for name, ratio in ratios.items()
    }  # fmt: skip


def _train(out: Path, page: Any = None) -> dict[str, float]:
    """Seconds of a training by the clock, and of its processors."""
    command = "train digits --hidden 256,256 --epochs 150 --validation 0.2 --engine native --json"
    begun = time.perf_counter()
    words = [sys.executable, "-m", "steepest", *command.split(), "--out", str(out)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    if page is not None:
        page.get_by_role("link", name=out.name).click(timeout=120_000)
        page.get_by_role("heading", name="Curves").wait_for(timeout=120_000)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return {"wall": _since(begun), "processor": usage.ru_utime + usage.ru_stime}


def _taken(browser: Any, page: Any, server: int) -> dict[str, float]:
    """Steps that are shown, and processor seconds of the server and of the browser's processes."""
    text = page.locator(".scores div", has_text="Step").locator("dd").inner_text()
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return {
        "steps": float(text.partition(" ")[0].replace(",", "")),
        "page": sum(one["cpuTime"] for one in told if one["type"] == "renderer"),
        "drawing process": sum(one["cpuTime"] for one in told if one["type"] == "GPU"),
        "server": _processor_seconds(server),
    }


def _processor_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
