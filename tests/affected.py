"""The test files that changed files lead to: `python tests/affected.py [FILE ...]` prints them.

Without files: those that differ from the branch `main`, or are new. `make changed` runs the tests.

- src/steepest/ROOM/...: the folder of that name in tests/, as deep as there is one; and every test
  file that names the module. Where there is neither, all tests.
- src/native: tests/native and tests/parity.
- frontend, which is built into src/steepest/board/static: tests/board.
- tests: the test files themselves; another Python file there, the tests of its folder.
- docs, README.md and the like: the tests that read them.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"


def affected(changed: list[str]) -> list[str]:
    """The test files and folders for these files, all relative to the root of the repository."""
    found = {place for name in changed for place in _of(Path(name))}
    covered = {place for place in found if found & {*map(str, Path(place).parents)}}
    return sorted(found - covered)


def _of(path: Path) -> list[str]:
    match path.parts:
        case ("src", "native", *_):
            return ["tests/native", "tests/parity"]
        case ("frontend", *_):
            return ["tests/board"]
        case ("src", "steepest", *inside) if path.suffix == ".py":
            return [*_mirror(inside), *_naming(inside)] or ["tests"]
        case ("src", "steepest", *inside):
            return _mirror(inside) or ["tests"]
        case ("tests", *_) if path.name.startswith("test_"):
            return [str(path)] if (ROOT / path).exists() else []
        case ("tests", *_) if path.suffix == ".py" and len(path.parts) > 2:
            return [str(path.parent)]
        case ("docs", *_) | (
            ("README.md" | "CONTRIBUTING.md" | "CITATION.cff" | "pyproject.toml"),
        ):
            return ["tests/docs", "tests/test_readme.py"]
    return []


def _mirror(inside: list[str]) -> list[str]:
    """The deepest folder of tests that has the name of one that the file is in."""
    for depth in range(len(inside) - 1, 0, -1):
        folder = Path("tests", *inside[:depth])
        if (ROOT / folder).is_dir():
            return [str(folder)]
    return []


def _naming(inside: list[str]) -> list[str]:
    """The test files that name a module, or are called after it."""
    module = ".".join(["steepest", *inside]).removesuffix(".py").removesuffix(".__init__")
    own = f"test_{Path(inside[-1]).stem}.py"
    return [
        str(path.relative_to(ROOT))
        for path, text in _tests().items()
        if path.name == own or module in text
    ]


@cache
def _tests() -> dict[Path, str]:
    return {path: path.read_text("utf-8") for path in TESTS.rglob("test_*.py")}


def _changed() -> list[str]:
    def git(*arguments: str) -> list[str]:
        said = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True)
        return said.stdout.splitlines()

    base = git("merge-base", "HEAD", "main")
    differing = git("diff", "--name-only", *(base or ["HEAD"]))
    return [*differing, *git("ls-files", "--others", "--exclude-standard")]


if __name__ == "__main__":
    print("\n".join(affected(sys.argv[1:] or _changed())))
