"""sweep(): many runs of one recipe, of which some settings vary."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from steepest.errors import DataError, RecipeError, RunError, SteepestError
from steepest.files import PART, make_run_folder
from steepest.processors import usable_threads
from steepest.recipe import Recipe
from steepest.records.layout import SWEEP_RECORD
from steepest.run import LOCK
from steepest.sweeps.asked import Asked, asked_for, goes_with, require_whole
from steepest.sweeps.cluster import RayExecutor, joined_cluster, require_room
from steepest.sweeps.executor import Executor, ThreadExecutor
from steepest.sweeps.findings import about
from steepest.sweeps.keeper import Keeper
from steepest.sweeps.metrics import Metric
from steepest.sweeps.naming import data_name, recipe_name, run_name
from steepest.sweeps.optuna import Study, ask_and_tell, is_optuna, optuna_name
from steepest.sweeps.points import as_setting
from steepest.sweeps.preparations import Model, Preparations
from steepest.sweeps.processes import ProcessWorkers
from steepest.sweeps.progress import check_sweep_progress, shown_sweep
from steepest.sweeps.pruners import asha, halving
from steepest.sweeps.record import SweepRecord
from steepest.sweeps.remote import Shared
from steepest.sweeps.result import Sweep
from steepest.sweeps.scheduler import Scheduler, Trial, TrialRun
from steepest.sweeps.space import Point, Space, differences_of, points_of, refuse
from steepest.sweeps.stacks import Stacks
from steepest.sweeps.tally import Tally
from steepest.sweeps.training import RunTraining, Training, WholeTraining
from steepest.training.interrupt import StopRequest, stop_request
from steepest.training.session import locked
from steepest.training.sources import with_sources
from steepest.training.train import remove_if_begun

# Of a space whose points are not known ahead so many are checked before the first run.
_MOST_CORNERS = 1000


def sweep(
    recipe: Recipe | None = None,
    space: Any = None,
    *,
    model: Model = None,
    data: Any = None,
    seeds: int | Sequence[int] = 16,
    sampler: Any = "grid",
    trials: int | None = None,
    pruner: Any = "none",
    metric: str = "val_loss",
    keep_best: int = 1,
    out: str | Path | None = None,
    resume: bool = False,
    workers: int | None = None,
    progress: str = "auto",
    ray: str | None = None,
    **settings: Any,
) -> Sweep:
    """Train a recipe many times, with other values of some settings and other seeds.

    Data are read, encoded and checked once for all runs that share them; nets that the native
    engine runs are trained one a thread. A run has the bits of `train` with its recipe alone. One
    that fails is a row with its cause. Ctrl-C ends the sweep, and `resume` goes on with it.

    Args:
        recipe: What the runs have in common; None for the defaults.
        space: For each setting that varies a list of values, or `uniform`, `log_uniform`,
            `integers` or `choice` of `steepest.sweeps`: {"lr": [0.01, 0.1], "hidden": [(64,)]}.
        model: None for nets of the recipe; a torch.nn.Module, of which each run trains a copy; or a
            function from a recipe to a module.
        data: As for `train`; None for the recipe's.
        seeds: How many seeds for each trial, from the recipe's on; or the seeds.
        sampler: "grid" for all combinations, "random" or "sobol" for `trials` of them; "optuna", or
            a sampler or study of Optuna's, for those that it asks for, eight at a time.
        trials: How many points of the space.
        pruner: "none"; "halving", which ends all trials but the best third after 1, 3, 9, ...
            epochs, judged by the mean over their seeds; "asha", where none waits for the others; or
            "optuna" or a pruner of Optuna's, asked after as many epochs.
        metric: What runs are compared by, a column of `Sweep.results`: val_loss, val_acc, ...
        keep_best: So many runs keep their weights.
        out: The folder of the sweep; None keeps it in memory.
        resume: Go on with the sweep in `out`, if there is one: what is missing is trained, nothing
            else. More seeds or trials may be asked for than before.
        workers: How many runs are trained at once; None for as many as there are processors.
        progress: How it shows itself on standard error: "auto" (a table on a terminal and in a
            notebook, lines elsewhere), "table", "lines" or "none".
        ray: The Ray cluster that trains the runs: HOST:PORT of its head; "auto" for the one that
            runs on this machine, that RAY_ADDRESS names or that this process has joined; "local" to
            start one here. None trains them in this process. The results are the same.
        **settings: Single settings that differ from the recipe.

    Returns:
        The sweep: `results`, `summary()`, `compare()`, `best()`, `history`, `failures`.

    Raises:
        RecipeError: A setting is unknown or cannot have a value; some combinations cannot be
            trained: they are named, and none is.
        RunError: The folder holds another sweep, or another process works on it.
    """
    check_sweep_progress(progress)
    if workers is not None:
        require_whole("workers", workers, 1)
    base = with_sources(Recipe.of(recipe, settings), data)
    if base.threads is None:  # one run a thread
        base = base.replace(threads=1)
    varied = Space.of({} if space is None else space)
    names = optuna_name(sampler), optuna_name(pruner)
    asked = asked_for(base, varied, seeds, names[0], trials, names[1], metric, keep_best)
    study = None
    if any(map(is_optuna, names)):
        study = Study(varied, asked.metric, base.seed, sampler, pruner)
    folder = None if out is None else Path(out)
    with ExitStack() as stack:
        if ray is not None:
            stack.enter_context(joined_cluster(ray))
        if folder is not None:
            _make_folder(folder, resume)
        stack.enter_context(locked(folder))
        shared = Preparations(model, data)
        try:
            work = _Work(asked, shared, model, data, folder, study, on_cluster=ray is not None)
        except BaseException:
            remove_if_begun(folder)  # what is refused leaves no trace
            raise
        stop = stack.enter_context(stop_request())
        stack.enter_context(shown_sweep(progress, work.tally, stop, folder is not None))
        return work.carry_out(stop, workers)


class _Work:
    """A sweep that is carried out."""

    def __init__(
        self,
        asked: Asked,
        shared: Preparations,
        model: Model,
        data: Any,
        folder: Path | None,
        study: Study | None,
        *,
        on_cluster: bool,
    ) -> None:
        self._asked, self._shared, self._folder = asked, shared, folder
        self._model, self._data, self._study = model, data, study
        self._keeper = Keeper(folder, asked.metric, asked.keep_best)
        self._about: dict[str, Any] = {}  # what runs are judged with; see findings.py
        points = points_of(
            asked.space, asked.sampler, asked.trials, len(asked.seeds), asked.base.seed
        )
        known_ahead = not is_optuna(asked.sampler)
        differences = self._check(points if known_ahead else asked.space.corners(_MOST_CORNERS))
        self._sent: Shared | None = None
        if on_cluster:
            self._sent = Shared(model, shared.read, asked.metric, asked.keep_best)
            require_room(self._sent, asked.base)
        self._data_name = data_name(shared.whole(asked.base), model)
        self._record = self._open(asked.facts(self._data_name))
        self._record.put_facts(self._about)
        expected = (asked.trials or 0) * len(asked.seeds)
        self.tally = self._record.listener = Tally(asked.metric, expected)
        self.tally.about = self._about
        self._trials: list[Trial] = []
        if not known_ahead:
            points = [{n: as_setting(v) for n, v in one.items()} for one in self._record.trials()]
            differences = differences_of(asked.base, points)
        self._add(points, differences)

    def _add(self, points: list[Point], differences: list[dict[str, Any]]) -> list[Trial]:
        """Make trials of points, and write them down."""
        first = len(self._trials)
        new = [self._trial(first + i, one) for i, one in enumerate(differences)]
        self._trials += new
        self._record.put_trials(first, points)
        self._record.put_plan((trial.number, r.seed, r.name) for trial in new for r in trial.runs)
        self._record.commit()
        return new

    def _ask(self, points: list[Point]) -> list[Trial]:
        """The same of points that nobody has checked yet."""
        return self._add(points, self._check(points))

    def carry_out(self, stop: StopRequest, workers: int | None) -> Sweep:
        known = self._record.runs_done()
        self.tally.begin(known.values())
        for place, (_, run) in enumerate(self._all_runs()):
            if run.name in known:
                cost = self._asked.metric.of_row(known[run.name])
                self._keeper.known(run.name, cost, place)
        scheduler = Scheduler(
            self._record,
            self._executor(stop, workers),
            self._keep,
            stop,
            known,
        )
        try:
            for trial in self._ended_trials(scheduler):
                for (
                    run
                ) in trial.runs:  # thousands of them would fill the memory: the record has all
                    run.row, run.history = None, ()
        finally:
            scheduler.close()
            self._keeper.write()
        if not stop:
            self._bring_back(stop)
        self._record.commit()
        if self._folder is None:
            return Sweep(self._record, None, self._keeper, model=self._model, data=self._data)
        self._record.close()
        record = SweepRecord.open(self._folder)
        return Sweep(record, self._folder, model=self._model, data=self._data)

    def _executor(self, stop: StopRequest, workers: int | None) -> Executor:
        if self._sent is not None:
            limit, base = (lambda: self._keeper.limit), self._asked.base
            return RayExecutor(self._sent, self._shared, limit, stop, recipe=base, workers=workers)
        count = workers or usable_threads()
        executor = ThreadExecutor(
            count,
            Stacks(self._shared, stop, self._folder),
            lambda name, recipe: self._begin(name, recipe, stop),
            lambda recipe: not (self._shared.is_plain(recipe) and self._shared.is_native(recipe)),
        )
        executor.apart = ProcessWorkers(
            count,
            lambda: Shared(
                self._model, self._shared.read, self._asked.metric, self._asked.keep_best
            ),
            self._shared,
            lambda: self._keeper.limit,
            executor.carry_out,
            executor.deliver,
            stop,
        )
        return executor

    def _ended_trials(self, scheduler: Scheduler) -> Iterator[Trial]:
        """The trials, as they end."""
        if self._study is not None:
            wanted, prunes = self._asked.trials or len(self._trials), is_optuna(self._asked.pruner)
            return ask_and_tell(
                *(scheduler, self._record, self._study, self._trials, self._ask, wanted),
                self._asked.metric,
                prunes=prunes,
            )
        if self._asked.pruner == "none":
            return scheduler.train_all(self._trials)
        steer = halving if self._asked.pruner == "halving" else asha
        return steer(scheduler, self._record, self._trials, self._asked.metric)

    def _check(self, points: list[Point]) -> list[dict[str, Any]]:
        """What recipes have other than the base, after all checks before the first step."""
        refused, looked_at = list[tuple[Point, str]](), dict[Any, str | None]()
        differences = differences_of(self._asked.base, points)
        for point, changed in zip(points, differences, strict=True):
            recipe = self._asked.base.with_differences(changed)
            kind = self._shared.kind(recipe)
            if kind not in looked_at:
                looked_at[kind] = self._obstacle(recipe.with_seed(self._asked.seeds[0]))
            if (why := looked_at[kind]) is not None:
                refused.append((point, why))
        if len(refused) == len(points) and len(set(looked_at.values())) == 1:
            raise RecipeError(refused[0][1])  # it is not the combination
        refuse(refused, len(points))
        return differences

    def _obstacle(self, recipe: Recipe) -> str | None:
        try:
            if not self._shared.is_plain(recipe):
                if self._asked.pruner != "none":
                    return (
                        f"pruner {self._asked.pruner} judges one net between its epochs, and what "
                        "a preset decides or several nets have no pause: take pruner 'none'"
                    )
                self._shared.check_decided(recipe)
            else:
                prepared = self._shared.of(recipe)
                self._about = about(prepared)
                if self._asked.metric.name.startswith(("val", "best_val")):
                    _require(prepared.parts, "validation", self._asked.metric)
                elif self._asked.metric.name.startswith("test"):
                    _require(prepared.parts, "test", self._asked.metric)
        except DataError:  # of the data, whatever the recipe
            raise
        except SteepestError as error:
            return str(error)
        return None

    def _open(self, facts: dict[str, Any]) -> SweepRecord:
        if self._folder is None or not (self._folder / SWEEP_RECORD).exists():
            record = SweepRecord.create(self._folder)
            record.put_facts(facts)
            return record
        record = SweepRecord.open(self._folder, to_write=True)
        before = record.facts() or facts
        if before.get("data") != facts["data"]:
            raise RunError(
                f"{self._folder} holds a sweep of other data: bring back the data, or choose "
                "another folder"
            )
        for key, value in facts.items():
            if not goes_with(key, before.get(key), value):
                raise RunError(
                    f"{self._folder} holds a sweep with another {key}: {_short(before.get(key))}, "
                    f"and now {_short(value)}; choose another folder"
                )
        record.put_facts(facts)
        return record

    def _trial(self, number: int, differences: dict[str, Any]) -> Trial:
        recipe = self._asked.base.with_differences(differences)
        name = recipe_name(recipe, self._data_name)
        runs = [TrialRun(run_name(name, seed), seed) for seed in self._asked.seeds]
        return Trial(number, self._asked.base, differences, runs)

    def _all_runs(self) -> Iterable[tuple[Trial, TrialRun]]:
        return ((trial, run) for trial in self._trials for run in trial.runs)

    def _begin(self, name: str, recipe: Recipe, stop: StopRequest) -> Training:
        if self._shared.is_plain(recipe):
            return RunTraining(name, recipe, self._shared, stop)
        return WholeTraining(name, recipe, self._model, self._data)

    def _keep(self, trial: Trial, run: TrialRun) -> None:
        assert run.row is not None
        assert run.training is not None
        cost = self._asked.metric.of_row(run.row)
        if run.training.has_weights:
            self._keeper.offer(run.name, cost, self._place(trial, run), run.training.to_run)
        else:
            self._keeper.known(run.name, cost, self._place(trial, run))

    def _place(self, trial: Trial, run: TrialRun) -> int:
        return trial.number * len(trial.runs) + trial.runs.index(run)

    def _bring_back(self, stop: StopRequest) -> None:
        """Runs that should be kept and are not there are trained again: they get the same bits."""
        missing = set(self._keeper.missing())
        for trial, run in self._all_runs():
            if run.name in missing:
                missing.discard(run.name)
                training = self._begin(run.name, trial.recipe.with_seed(run.seed), stop)
                if training.advance(None) is not None:
                    self._keeper.put(run.name, training.to_run())
        self._keeper.sweep_out()


def _make_folder(folder: Path, resume: bool) -> None:
    """A new folder, or that of the sweep that is gone on with, however early it was killed."""
    if (folder / SWEEP_RECORD).exists():
        if not resume:
            raise RunError(
                f"{folder} holds a sweep already: go on with it by resume=True (--resume), or "
                "choose another folder"
            )
        return
    begun = folder.is_dir() and all(
        path.name == LOCK or PART.fullmatch(path.name.partition("-journal")[0])
        for path in folder.iterdir()
    )
    if not (resume and begun):
        make_run_folder(folder)


def _require(parts: dict[str, Any], part: str, metric: Metric) -> None:
    if part not in parts:
        raise RecipeError(
            f"metric {metric.name} needs a {part} part: set {part} to a share or a file, or "
            "choose another metric"
        )


def _short(value: Any) -> str:
    return f"{value!r:.60}"
