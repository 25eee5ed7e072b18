"""Sweep: what came of many runs, from memory or from a folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from steepest.errors import RunError, did_you_mean
from steepest.recipe import Recipe
from steepest.records.layout import BEST_RUNS
from steepest.run import Run, load_run
from steepest.sweeps.attached import attached
from steepest.sweeps.best import Best, Sources
from steepest.sweeps.findings import findings_table
from steepest.sweeps.importance import Importance, importance_of
from steepest.sweeps.keeper import Keeper
from steepest.sweeps.metrics import Metric
from steepest.sweeps.points import Points
from steepest.sweeps.preparations import Model
from steepest.sweeps.record import SweepRecord
from steepest.sweeps.space import Space
from steepest.sweeps.statistics import Difference, difference, require_level
from steepest.sweeps.summary import epochs_done, ranking, require_values, summarise, values_by_seed

_TIMINGS = ("seconds",)


class Sweep:
    """Many runs of one recipe, of which some settings vary.

    Attributes:
        folder: Where it lies; None if only in memory.
    """

    def __init__(
        self,
        record: SweepRecord,
        folder: Path | None,
        keeper: Keeper | None = None,
        *,
        model: Model = None,
        data: Any = None,
    ) -> None:
        self.folder = folder
        self._record, self._keeper = record, keeper
        self._facts = record.facts()
        self._sources = Sources(str(self._facts.get("data")), model, data)
        self._results: pl.DataFrame | None = None
        self._known_points: Points | None = None
        self._importance: dict[str, Importance] = {}
        self._findings: pl.DataFrame | None = None
        self._summaries: dict[tuple[Metric, float], pl.DataFrame] = {}

    @property
    def recipe(self) -> Recipe:
        """What the runs have in common."""
        recipe = Recipe.from_toml(self._facts["recipe"], "the sweep's recipe")
        return recipe.with_given(self._facts.get("given", recipe.given))

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that vary."""
        return tuple(self._facts["space"])

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The settings that vary, of each trial by its number."""
        return [self._points[trial] for trial in range(len(self._points))]

    def trial(self, settings: Mapping[str, Any]) -> int:
        """The number of the trial with these settings, as far as they tell it.

        Args:
            settings: {"lr": 0.1}.

        Raises:
            RunError: No trial has them, or several do.
        """
        return self._points.number(settings)

    @property
    def info(self) -> dict[str, Any]:
        """What the sweep is: recipe, space, sampler, seeds, pruner, metric, and its data's name."""
        return dict(self._facts)

    @property
    def metric(self) -> str:
        """What the runs are compared by: a column of `results`."""
        return str(self._facts["metric"])

    @property
    def results(self) -> pl.DataFrame:
        """One row a run, by trial and seed.

        trial, run (its name), a column for each setting that varies, seed, status (finished,
        diverged, pruned, failed; null where it is still missing), cause, epochs, step, train_loss,
        train_acc (of the last epoch), val_loss, val_acc, test_loss, test_acc (at the last weights),
        best_epoch, best_val_loss. Where the setting epochs varies, it has the column of that name,
        and those that are done are epochs_done. The same whenever it was computed, on however many
        threads.
        """
        if self._results is None:
            self._results = self._read_results()
        return self._results.drop(_TIMINGS)

    @property
    def timings(self) -> pl.DataFrame:
        """What each run took: trial, run, seed, seconds. Of another sweep they are other ones."""
        if self._results is None:
            self._results = self._read_results()
        return self._results.select("trial", "run", "seed", *_TIMINGS)

    def history(self, run: str | None = None) -> pl.DataFrame:
        """The epochs of a run: epoch, step, train_loss, train_acc, val_loss, val_acc, lr.

        Args:
            run: Its name, or the beginning of it; None for all runs, with a column run.

        Raises:
            RunError: There is no run of this name.
        """
        if run is None:
            return self._record.history().drop(_TIMINGS)
        return self._record.history(self._full_name(run)).drop("run", *_TIMINGS)

    @property
    def failures(self) -> pl.DataFrame:
        """The runs that did not end well: those that diverged or failed, with the cause."""
        return self.results.filter(pl.col("status").is_in(["diverged", "failed"]))

    @property
    def findings(self) -> pl.DataFrame:
        """What the epochs of the finished runs show, a row for each code, the most frequent first.

        code, severity, runs (how many), of (how many were looked at: at most 1,000, evenly spread),
        and of the first: message, fix, run. OVERFIT and STOPPED_TOO_EARLY; `best().refit()` is a
        run that all rules look at.
        """
        if self._findings is None:
            self._findings = findings_table(self.results, self._record.history, self._facts)
        return self._findings

    def summary(self, metric: str | None = None, *, level: float = 0.95) -> pl.DataFrame:
        """One row a trial, the best mean first.

        Args:
            metric: Which column of `results`; None for the sweep's.
            level: Of the confidence intervals.

        Returns:
            trial, the settings that vary; mean, low and high of its confidence interval
            (`mean_interval`) and std over the runs that reached their end; n, how many did; best,
            the best of them; failed, how many diverged or raised; apart, whether the first trial is
            better by more than seed noise (`compare`; null of the first). Trials of which not every
            run reached its end come last.

        Raises:
            RecipeError: There is no such metric.
        """
        require_level(level)
        by = Metric.of(metric or self.metric)
        if (by, level) not in self._summaries:
            self._summaries[by, level] = summarise(self.results, self.settings, by, level)
        return self._summaries[by, level]

    def compare(
        self, one: Any = None, other: Any = None, *, metric: str | None = None, level: float = 0.95
    ) -> Difference:
        """Whether a trial is better than another by more than seed noise, and how many seeds tell.

        Printed, it is a sentence. Two trials that you chose beforehand are compared by an interval
        of their own. Left out, they are the first two of `summary`; since these were chosen by the
        numbers themselves, the interval is widened for the comparisons of the first with each of
        the others (Bonferroni).

        Args:
            one: A trial: its number, its settings as {"lr": 0.1} as far as they tell it, or a
                `Best`; None for the first of `summary`.
            other: Likewise; None for the best of the others.
            metric: Which column of `results`; None for the sweep's.
            level: Of the confidence interval.

        Raises:
            RunError: There is no such trial, or none of its runs has reached its end.
            RecipeError: There is no such metric.

        Source:
            See `steepest.sweeps.difference`.
        """
        require_level(level)
        by = Metric.of(metric or self.metric)
        require_values(self.results, by)
        ranked = ranking(self.results, self.settings, by)["trial"].to_list()
        points = self._points
        pair = points.pair(ranked, *(w.trial if isinstance(w, Best) else w for w in (one, other)))
        values = values_by_seed(self.results, by)
        return difference(
            *(values.get(trial, {}) for trial in pair),
            falls=by.falls, names=points.told_apart(*pair), metric=by.name, level=level,
            comparisons=max(1, len(values) - 1) if one is None or other is None else 1,
        )  # fmt: skip

    def importance(self, metric: str | None = None) -> Importance:
        """How much of the metric each setting decides, alone and with its interactions.

        Of u, a point of the space, let f(u) be the rank of a run among all (broken runs last),
        as a random forest of the runs predicts it; ranks, so that one setting that ruins the loss
        hides no other. The share of setting j alone is Var(E[f | u_j]) / Var(f), the first order of
        Sobol' indices, and its total is E[Var(f | all but u_j)] / Var(f), with u evenly spread over
        the space; both are estimated from 2,048 (2 + settings) points. On a grid this is the
        analysis of variance of the combinations.

        Args:
            metric: Which column of `results`; None for the sweep's.

        Raises:
            RunError: No setting varied, or too few runs have ended.
            RecipeError: There is no such metric.
            MissingExtra: scikit-learn is not installed.

        Source:
            Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter
            importance", ICML 2014; estimators: Saltelli et al., "Variance based sensitivity
            analysis of model output", Computer Physics Communications 2010.
        """
        by = Metric.of(metric or self.metric)
        require_values(self.results, by)
        if by.name not in self._importance:
            space = Space.of(self._facts["space"]).dimensions
            self._importance[by.name] = importance_of(
                self.results, self.trials, space, by, self.recipe.seed
            )
        return self._importance[by.name]

    def best(self) -> Best:
        """The trial whose runs are the best in the mean over its seeds.

        Raises:
            RunError: No trial has reached its end with every seed.
        """
        ranked = ranking(self.results, self.settings, Metric.of(self.metric))
        if not ranked.height or not ranked["complete"][0]:
            raise RunError(
                "no trial of this sweep reached its end with every seed; see sweep.failures"
            )
        first = ranked.row(0, named=True)
        runs = self.results.filter(pl.col("trial") == first["trial"])
        done = pl.col(epochs_done(self.settings))
        epochs = pl.coalesce(pl.col("best_epoch") + 1, done).mean()
        settings = self._points[first["trial"]]
        return Best(
            first["trial"], settings, self.recipe.replace(**settings), self.metric, first["mean"],
            float("nan") if first["std"] is None else first["std"], tuple(runs["run"]),
            max(1, round(runs.select(epochs).item())), self._sources,
        )  # fmt: skip

    def plot(self, kind: str = "parallel", **arguments: Any) -> Any:
        """A picture of the sweep, as the Axes of matplotlib: `ax.figure` shows and saves it.

        Args:
            kind: "parallel" (each trial a line through its settings to the metric), "heatmap" (the
                mean by two settings), "importance" (the share that each setting decides) or
                "curves" (the best trials over the epochs, with bands over the seeds).
            **arguments: As `plot_parallel`, `plot_heatmap` (x="lr", y="hidden"), `plot_importance`
                and `plot_sweep_curves` of `steepest.report` take them.

        Raises:
            RunError: There is no such picture, or none of this sweep: the message says why.
            MissingExtra: matplotlib is not installed.
        """
        return attached.plot(self, kind, **arguments)

    def report(self, path: str | Path) -> Path:
        """Write a report as one HTML file; see `steepest.report.write_sweep_report`.

        Args:
            path: The file.

        Returns:
            The file.

        Raises:
            MissingExtra: matplotlib or jinja2 is not installed.
            RunError: The file cannot be written.
        """
        return attached.report(self, path)

    @property
    def kept(self) -> tuple[str, ...]:
        """The runs that keep their weights, by name: see `run`."""
        if self.folder is None:
            return tuple(sorted(self._keeper.names)) if self._keeper else ()
        place = self.folder / BEST_RUNS
        return tuple(sorted(path.name for path in place.iterdir())) if place.is_dir() else ()

    def run(self, name: str) -> Run:
        """A run that kept its weights, as `train` gives it.

        Args:
            name: Its name, or the beginning of it.

        Raises:
            RunError: There is none, or it did not keep its weights.
        """
        full = self._full_name(name)
        found = self._keeper.run(full) if self._keeper else None
        if found is not None:
            return found
        if self.folder is not None and full in self.kept:
            return load_run(self.folder / BEST_RUNS / full)
        raise RunError(
            f"run {full} did not keep its weights: only the best {self._facts['keep_best']} do "
            "(keep_best). Train its recipe again for the same bits: sp.train(None, data, "
            "sweep.recipe_of(name))"
        )

    def recipe_of(self, run: str) -> Recipe:
        """Every setting of a run: `train` with it gives the same bits.

        Args:
            run: Its name, or the beginning of it.

        Raises:
            RunError: There is no run of this name.
        """
        row = self.results.filter(pl.col("run") == self._full_name(run)).row(0, named=True)
        return self.recipe.replace(**self._points[row["trial"]]).with_seed(row["seed"])

    def close(self) -> None:
        """Let go of the record's file."""
        self._record.close()

    def __len__(self) -> int:
        return self.results.height

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.results.iter_rows(named=True)

    def __repr__(self) -> str:
        counts = self.results["status"].fill_null("missing").value_counts(sort=True).rows()
        told = ", ".join(f"{count} {status}" for status, count in counts)
        where = "in memory" if self.folder is None else f"in {self.folder}"
        trials = self.results["trial"].n_unique()
        return f"<Sweep {where}: {trials} trials, {len(self)} runs: {told}>"

    def _full_name(self, name: str) -> str:
        names = self.results["run"]
        found = names.filter(names.str.starts_with(name)).unique() if name else names.head(0)
        if len(found) != 1:
            hint = did_you_mean(name, names.head(1000))
            why = f"{len(found)} runs begin so" if len(found) else f"there is none{hint}"
            raise RunError(f"no run {name!r:.40} in this sweep: {why}")
        return str(found[0])

    @property
    def _points(self) -> Points:
        if self._known_points is None:
            self._known_points = Points(self._record.trials())
        return self._known_points

    def _read_results(self) -> pl.DataFrame:
        table, points = self._record.results(), self._points
        table = table.rename({"epochs": epochs_done(self.settings)})
        columns = [points.column(name) for name in self.settings]
        swept = pl.DataFrame(columns)[table["trial"]] if columns else pl.DataFrame()
        seed = table["seed"]
        return pl.concat(
            [
                table.select("trial", "run"), swept, pl.DataFrame(seed),
                table.drop("trial", "run", "seed"),
            ],
            how="horizontal",
        )  # fmt: skip


def load_sweep(path: str | Path) -> Sweep:
    """The sweep in a folder, also while another process works on it. Nothing in it is executed.

    Args:
        path: The folder.

    Raises:
        RunError: The folder holds no sweep, or a damaged one, or one that begins at this moment.
    """
    folder = Path(path)
    record = SweepRecord.open(folder)
    if not record.facts():
        record.close()
        raise RunError(f"the sweep in {folder} is only just being begun: look again in a moment")
    return Sweep(record, folder)
