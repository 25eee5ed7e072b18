"""Weights & Biases: offline unless asked otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from steepest.loggers.logger import Logger


class WandB(Logger):
    """Writes a run for Weights & Biases; `wandb sync FOLDER/wandb/offline-run-*` uploads it.

    Nothing leaves the machine unless mode is "online".

    Args:
        project: Its name.
        folder: Where `wandb/` is made.
        name: Of the run; None lets the library choose one.
        id: Of a run to go on with.
        mode: "offline", or "online" where `wandb login` was done.
    """

    extra: ClassVar[str] = "wandb"
    packages: ClassVar[tuple[str, ...]] = ("wandb",)

    def __init__(
        self,
        project: str = "steepest",
        folder: str | Path = ".",
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002  (as wandb.init has it)
        mode: Literal["offline", "online"] = "offline",
    ) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._chosen: dict[str, Any] = {"project": project, "name": name, "id": id, "mode": mode}
        self._run: Any = None

    def open(self, settings: Mapping[str, Any], step: int) -> None:
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            **self._chosen,
            dir=str(self._folder),
            config=dict(settings),
            resume="allow" if self._chosen["id"] else None,
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True),
        )

    def write(self, step: int, row: Mapping[str, float]) -> None:
        self._run.log(dict(row), step=step)

    def note(self, step: int, name: str, text: str) -> None:
        self._run.summary[name] = f"step {step}: {text}"

    def end(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "finished" else 1)
