"""MLflow: runs in a store of its own, a SQLite file or a server."""

from collections.abc import Mapping
from typing import Any, ClassVar

from steepest.loggers.logger import Logger

_STATUS = {"finished": "FINISHED", "interrupted": "KILLED"}
# The store takes no more numbers at once.
_METRICS_AT_ONCE = 1000


class MLflow(Logger):
    """Writes a run to MLflow; `mlflow ui --backend-store-uri URI` shows it.

    Args:
        uri: Of the store: `sqlite:///mlflow.db`, or a server's address.
        experiment: Its name; made where there is none yet.
        name: Of the run; None lets MLflow choose one.
        run_id: Of a run to go on with, as `logger.run_id` of the one that was interrupted.
    """

    extra: ClassVar[str] = "mlflow"
    packages: ClassVar[tuple[str, ...]] = ("mlflow", "sqlalchemy", "alembic")

    def __init__(
        self,
        uri: str = "sqlite:///mlflow.db",
        *,
        experiment: str = "steepest",
        name: str | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__()
        self._uri, self._experiment, self._run_name = uri, experiment, name
        self.run_id = run_id
        self._client: Any = None
        self._waiting: list[Any] = []

    def open(self, settings: Mapping[str, Any], step: int) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client, self._waiting = MlflowClient(self._uri), []
        if step == 0 or self.run_id is None:
            found = self._client.get_experiment_by_name(self._experiment)
            experiment = (
                found.experiment_id
                if found is not None
                else self._client.create_experiment(self._experiment)
            )
            made = self._client.create_run(experiment, run_name=self._run_name)
            self.run_id = made.info.run_id
            params = [Param(key, str(value)) for key, value in settings.items()]
            for begin in range(0, len(params), 100):  # the store takes no more at once
                self._client.log_batch(self.run_id, params=params[begin : begin + 100])
        else:
            self._client.update_run(self.run_id, status="RUNNING")

    def write(self, step: int, row: Mapping[str, float]) -> None:
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(name, value, now, step) for name, value in row.items()]
        # A transaction of SQLite takes milliseconds: many rows share one.
        if len(self._waiting) >= _METRICS_AT_ONCE // 2 or self._queue.empty():
            self._flush()

    def note(self, step: int, name: str, text: str) -> None:
        self._client.set_tag(self.run_id, name, f"step {step}: {text}")

    def end(self, status: str) -> None:
        self._flush()
        self._client.set_terminated(self.run_id, _STATUS.get(status, "FAILED"))

    def _flush(self) -> None:
        for begin in range(0, len(self._waiting), _METRICS_AT_ONCE):
            some = self._waiting[begin : begin + _METRICS_AT_ONCE]
            self._client.log_batch(self.run_id, metrics=some)
        self._waiting = []
