"""A changed file leads to tests: tests/affected.py."""

from pathlib import Path

import pytest

from affected import affected

ROOT = Path(__file__).parents[1]
ROOMS = sorted(
    p.name for p in (ROOT / "src" / "steepest").iterdir() if (ROOT / "tests" / p.name).is_dir()
)


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (["src/native/steps.cpp"], ["tests/native", "tests/parity"]),
        (["src/steepest/random.py"], ["tests/test_random.py"]),
        (["src/steepest/recipe/conflicts.py"], ["tests/recipe"]),
        (["src/steepest/training/timetable.py"], ["tests/training"]),
        (["tests/training/test_train.py"], ["tests/training/test_train.py"]),
        (["tests/training/test_train.py", "src/steepest/training/train.py"], ["tests/training"]),
        (["docs/data.md"], ["tests/docs", "tests/test_readme.py"]),
    ],
)
def test_a_changed_file_leads_to_its_tests(changed, tests):
    assert set(tests) <= set(affected(changed))


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_of_a_room_with_tests_leads_to_some_of_them(room):
    modules = (ROOT / "src" / "steepest" / room).rglob("*.py")
    names = [str(path.relative_to(ROOT)) for path in modules]
    assert names
    assert [name for name in names if affected([name]) in ([], ["tests"])] == []


def test_a_module_that_no_test_is_named_after_leads_to_all():
    assert affected(["src/steepest/nowhere/else.py"]) == ["tests"]
