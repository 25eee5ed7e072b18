"""Optuna as sampler and as pruner, by batches: ask for some trials, train them together, tell.

The record is the sweep's own. Optuna's study is in memory, and made anew from the record where a
sweep is gone on with. What it decides depends on the numbers alone: trials are asked for and told
in their order, whoever ends first.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from steepest.errors import RecipeError, needs
from steepest.random import Purpose, torch_seed
from steepest.sweeps.distributions import Between
from steepest.sweeps.metrics import Metric
from steepest.sweeps.pruners import GOES_ON, PRUNED, rungs_of, train_to
from steepest.sweeps.record import SweepRecord
from steepest.sweeps.scheduler import Scheduler, Trial
from steepest.sweeps.space import Point, Space, value_text

NAME = "optuna"
# Trials that are asked for at once: of another number other ones would be asked for.
BATCH = 8
_SEEDS = 2**32


def optuna_name(which: Any) -> str:
    """What a sampler or pruner is called in the record: a name, or "optuna" with its class."""
    if isinstance(which, str):
        return which
    with needs("optuna", "a sampler or pruner that is no name"):
        import optuna
    if isinstance(which, optuna.Study):
        which = which.sampler
    if not isinstance(which, (optuna.samplers.BaseSampler, optuna.pruners.BasePruner)):
        raise RecipeError(
            "sampler and pruner take a name, or a sampler, pruner or study of Optuna, but one is a "
            f"{type(which).__name__}"
        )
    return f"{NAME} {type(which).__name__}"


def is_optuna(name: str) -> bool:
    """Whether a name in the record stands for Optuna."""
    return name.partition(" ")[0] == NAME


class Study:
    """A study of Optuna's that knows the settings of a sweep.

    Args:
        space: What varies.
        metric: What is made small or large.
        seed: Decides what the sampler draws, where none is given.
        sampler: A sampler or a study of Optuna's, or a name; Optuna's own choice for a name.
        pruner: Likewise.

    Raises:
        MissingExtra: Optuna is not installed.
        RecipeError: The study has another direction or several.
    """

    def __init__(
        self, space: Space, metric: Metric, seed: int, sampler: Any = NAME, pruner: Any = NAME
    ) -> None:
        with needs("optuna", "a sweep by Optuna"):
            import optuna
        self._optuna, self._space, self._metric, self._seed = optuna, space, metric, seed
        self._reseeded = isinstance(sampler, str)
        direction: Literal["minimize", "maximize"] = "minimize" if metric.falls else "maximize"
        if isinstance(sampler, optuna.Study):
            self._study = sampler
            if [one.name.lower() for one in sampler.directions] != [direction]:
                raise RecipeError(f"metric {metric.name} needs a study with direction {direction}")
        else:
            with self._quiet():
                self._study = optuna.create_study(
                    direction=direction, sampler=self._sampler(0) if self._reseeded else sampler
                )
        if not isinstance(pruner, str):
            self._study.pruner = pruner
        self._distributions = {
            name: self._distribution(dimension) for name, dimension in space.dimensions.items()
        }
        self._asked: dict[int, Any] = {}
        self.names = space.names

    def ask(self, first: int, known: Sequence[Mapping[str, Any]], count: int) -> list[Point]:
        """The points of some trials, which are under way from now on.

        Args:
            first: The number of the first.
            known: Points of the first ones that are settled already.
            count: How many.
        """
        points = []
        with self._quiet():
            if self._reseeded:
                self._study.sampler = self._sampler(first + len(known))
            for i in range(count):
                if i < len(known):
                    self._study.enqueue_trial(self._told(known[i]))
                asked = self._study.ask(self._distributions)
                self._asked[first + i] = asked
                points.append(dict(known[i]) if i < len(known) else self._point(asked.params))
        return points

    def report(self, trial: Trial, epochs: int, cost: float) -> None:
        """Tell how a trial stands after so many epochs."""
        self._asked[trial.number].report(self._natural(cost), epochs)

    def should_prune(self, trial: Trial) -> bool:
        """Whether a trial is to end where it is."""
        return bool(self._asked[trial.number].should_prune())

    def tell(self, trial: Trial, decisions: Mapping[int, tuple[float, str]]) -> None:
        """Tell what came of a trial, whether it was asked for or is known from a record.

        Args:
            trial: All of whose runs have ended.
            decisions: What it cost after some epochs, and what was decided.
        """
        states = self._optuna.trial.TrialState
        values = [self._metric.of_row(run.row) for run in trial.runs if run.row is not None]
        cost = sum(values) / len(values)
        state, value = states.COMPLETE, None if cost == float("inf") else self._natural(cost)
        if any(run.row is not None and run.row.status == "pruned" for run in trial.runs):
            state, value = states.PRUNED, None
        elif value is None:
            state = states.FAIL
        asked = self._asked.pop(trial.number, None)
        if asked is not None:
            self._study.tell(asked, value, state=state)
            return
        between = {
            epochs: self._natural(cost)
            for epochs, (cost, _) in decisions.items()
            if cost < float("inf")
        }
        if state == states.PRUNED and between:
            value = between[max(between)]  # as `tell` takes it
        recipe = trial.recipe
        point = {name: getattr(recipe, name) for name in self.names}
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=state,
                value=value,
                params=self._told(point),
                distributions=self._distributions,
                intermediate_values=between,
            )
        )

    def _sampler(self, first: int) -> Any:
        """Optuna's usual one, whose draws are a function of the seed and of the trial's number."""
        seed = torch_seed(self._seed, Purpose.SEARCH, first, stream=1) % _SEEDS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def _distribution(self, dimension: Any) -> Any:
        kinds = self._optuna.distributions
        if not isinstance(dimension, Between):
            return kinds.CategoricalDistribution([value_text(v) for v in dimension.values])
        if dimension.whole:
            return kinds.IntDistribution(int(dimension.low), int(dimension.high), dimension.log)
        return kinds.FloatDistribution(dimension.low, dimension.high, dimension.log)

    def _told(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point as Optuna has it: of lists the texts of their values."""
        between = {n: isinstance(d, Between) for n, d in self._space.dimensions.items()}
        return {n: point[n] if between[n] else value_text(point[n]) for n in between}

    def _point(self, told: Mapping[str, Any]) -> Point:
        point = {}
        for name, dimension in self._space.dimensions.items():
            value = told[name]
            if not isinstance(dimension, Between):
                (value,) = {v for v in dimension.ends if value_text(v) == value}
            point[name] = value
        return point

    def _natural(self, cost: float) -> float:
        return cost if self._metric.falls else -cost

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Without Optuna's lines on standard error."""
        log = self._optuna.logging
        before = log.get_verbosity()
        log.set_verbosity(max(before, log.WARNING))
        try:
            yield
        finally:
            log.set_verbosity(before)


def ask_and_tell(
    scheduler: Scheduler,
    record: SweepRecord,
    study: Study,
    trials: Sequence[Trial],
    add: Callable[[list[Point]], list[Trial]],
    wanted: int,
    metric: Metric,
    *,
    prunes: bool,
) -> Iterator[Trial]:
    """Trials as Optuna asks for them, those that fall behind ended as its pruner says.

    Args:
        scheduler: Trains them.
        record: Where decisions are written and read.
        study: What asks.
        trials: Those that are settled already; some may have been trained.
        add: Makes trials of points, and writes them down.
        wanted: How many there shall be.
        metric: What they are judged by.
        prunes: Whether the study's pruner is asked.
    """
    decided: dict[int, dict[int, tuple[float, str]]] = {}
    for number, epochs, value, what in record.decisions():
        decided.setdefault(number, {})[epochs] = value, what
    done = 0
    while done < wanted:
        count = min(BATCH, wanted - done)
        batch = list(trials[done : done + count])
        if len(batch) < count or not all(map(scheduler.is_done, batch)):
            points = study.ask(done, [_point_of(trial, study) for trial in batch], count)
            batch += add(points[len(batch) :])
            if prunes:
                _train_by_rungs(scheduler, record, study, batch, decided, metric)
        for trial in batch:
            scheduler.start(trial, None)
        while scheduler.next_back() is not None:
            pass
        if scheduler.stopped:
            return
        for trial in batch:
            study.tell(trial, decided.get(trial.number, {}))
            yield trial
        done += count


def _point_of(trial: Trial, study: Study) -> Point:
    recipe = trial.recipe
    return {name: getattr(recipe, name) for name in study.names}


def _train_by_rungs(
    scheduler: Scheduler,
    record: SweepRecord,
    study: Study,
    batch: Sequence[Trial],
    decided: dict[int, dict[int, tuple[float, str]]],
    metric: Metric,
) -> None:
    """Train trials from rung to rung, and end those that the study's pruner gives up."""
    left = list(batch)
    for rung in rungs_of(max(trial.recipe.epochs for trial in batch)):
        train_to(scheduler, left, rung)
        if scheduler.stopped:
            return
        stay = []
        for trial in left:
            value = trial.value(metric, rung)
            if value == float("inf"):  # it has ended already
                continue
            study.report(trial, rung, value)
            known = decided.setdefault(trial.number, {})
            if rung not in known:
                what = PRUNED if study.should_prune(trial) else GOES_ON
                known[rung] = value, what
                record.put_decision(trial.number, rung, value, what)
            if known[rung][1] == GOES_ON:
                stay.append(trial)
            else:
                scheduler.prune(trial, f"after {rung} epochs Optuna's pruner gave it up")
        left = stay
