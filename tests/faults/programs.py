"""The programs by name: which files there are, and what each says about itself."""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from faults.case import Case, Fault

HERE = Path(__file__).parent
GROUPS = ("public", "variants", "controls", "unseen", "second", "unread", "outside")


@dataclass(frozen=True)
class Program:
    """A file of a group. fault is None for a healthy control."""

    name: str
    group: str
    fault: Fault | None
    make: Callable[..., Case]
    title: str

    def case(self, seed: int, healthy: bool = False) -> Case:
        """The objects, new; healthy: those of the twin."""
        return self.make(seed, healthy=healthy) if self.fault else self.make(seed)


def programs(groups: Iterable[str] = GROUPS, only: Iterable[str] = ()) -> list[Program]:
    """The programs of these groups in the order of their names; only: these names."""
    wanted = {name.lower() for name in only}
    return [
        _load(group, path.stem)
        for group in groups
        for path in sorted((HERE / group).glob("[a-z]*.py"))
        if not wanted or path.stem in wanted
    ]


def _load(group: str, name: str) -> Program:
    module = importlib.import_module(f"faults.{group}.{name}")
    title = (module.__doc__ or "").partition("\n")[0].partition(": ")[2]
    return Program(name.upper(), group, getattr(module, "FAULT", None), module.make, title)
