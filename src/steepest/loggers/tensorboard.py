"""TensorBoard: event files that `tensorboard --logdir FOLDER` shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from steepest.loggers.logger import Logger


class TensorBoard(Logger):
    """Writes a run as event files of TensorBoard, its settings for the HParams tab too.

    A run that is resumed goes on in the same folder; what was written beyond the checkpoint that it
    goes on from is hidden.

    Args:
        folder: Of this run; runs in folders beside each other are shown together.
    """

    extra: ClassVar[str] = "tensorboard"
    packages: ClassVar[tuple[str, ...]] = ("tensorboard",)

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._writer: Any = None

    def open(self, settings: Mapping[str, Any], step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        purge = step + 1 if step else None
        self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        # add_hparams would write them in a folder of their own, without this run's curves.
        for summary in hparams(dict(settings), {}):
            self._writer.file_writer.add_summary(summary)

    def write(self, step: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def note(self, step: int, name: str, text: str) -> None:
        self._writer.add_text(name, text, step)

    def end(self, status: str) -> None:
        self._writer.close()
