"""What seeds tell: an interval for a mean, whether two settings differ, how many seeds decide it.

Two settings that are trained with the same seeds have, seed by seed, the same split and the same
order of rows, so they are compared by the differences within the seeds: what the seeds have in
common cancels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from steepest.errors import DataError, RecipeError, RunError
from steepest.random import Purpose, below, words

RESAMPLES = 9999
POWER = 0.8
_MOST_SEEDS = 100_000
_AT_ONCE = 4_000_000  # means of resamples in memory

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval. n: of how many values; low and high are NaN of one."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """The mean of runs that differ in their seeds, and the interval in which the true one lies.

    The bootstrap's percentile interval, expanded: the means of 9,999 resamples lie in it from their
    quantile q to 1 - q, where q = Φ(-√(n/(n-1)) · t) and t is Student's quantile at (1 + level)/2
    with n - 1 degrees of freedom. The plain quantiles, (1 ∓ level)/2, make it too narrow: at level
    0.95 they hold the true mean of 8 normal values 88 times in 100, these 94 times. Resamples of n
    values cannot reach beyond 1 - 2^(1-n), so below 6 values (at 0.95) it is Student's interval,
    mean ± t · s/√n. The same values give the same interval.

    Args:
        values: Finite numbers, one a seed.
        level: Between 0 and 1.

    Raises:
        DataError: There are none, or one is not finite.
        RecipeError: The level is none.

    Source:
        Hesterberg, "What teachers should know about the bootstrap", The American Statistician 2015,
        "expanded percentile interval"; Student, "The probable error of a mean", Biometrika 1908.

    >>> found = mean_interval([0.1, 0.2, 0.3])
    >>> f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})"
    '0.20 (-0.05 to 0.45)'
    """
    table = np.array(values, np.float64).reshape(1, -1)
    if not table.size or not np.isfinite(table).all():
        raise DataError(f"values must be one or more finite numbers, but are {values!r:.60}")
    require_level(level)
    low, high = mean_intervals(table, level)
    return Interval(float(table.mean()), float(low[0]), float(high[0]), table.shape[1])


def require_level(level: float) -> None:
    """Raise RecipeError if it is no level of a confidence interval."""
    if not isinstance(level, (int, float)) or not 0 < level < 1:
        raise RecipeError(f"level must be between 0 and 1, as 0.95, but is {level!r:.40}")


def mean_intervals(values: Float64Array, level: float = 0.95) -> tuple[Float64Array, Float64Array]:
    """`mean_interval` of each row of (S, n) values: the lower and the upper ends, (S,) each."""
    n = values.shape[1]
    if n < 2:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    t = _student((1 + level) / 2, n - 1)
    if 2.0 ** (1 - n) > 1 - level:
        half = t * values.std(axis=1, ddof=1) / math.sqrt(n)
        return values.mean(axis=1) - half, values.mean(axis=1) + half
    from scipy.special import ndtr

    q = float(ndtr(-math.sqrt(n / (n - 1)) * t))
    weights = _resamples(n)
    ends = np.empty((2, len(values)))
    rows = max(1, _AT_ONCE // len(weights))
    for first in range(0, len(values), rows):
        means = values[first : first + rows] @ weights.T
        ends[:, first : first + rows] = np.quantile(means, [q, 1 - q], axis=1)
    return ends[0], ends[1]


@cache
def _resamples(n: int) -> Float64Array:
    """The weight that each of n values has in the mean of each resample, (RESAMPLES, n)."""
    drawn = below(words(0, Purpose.RESAMPLE, n, RESAMPLES * n), n).reshape(RESAMPLES, n)
    counts = np.zeros((RESAMPLES, n))
    np.add.at(counts, (np.arange(RESAMPLES)[:, None], drawn), 1.0)
    return counts / n


@cache
def _student(p: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, p))


@dataclass(frozen=True)
class Difference:
    """By how much one setting is better than another, and whether that is more than seed noise.

    Attributes:
        one: The first one's settings, as text.
        other: The second one's.
        metric: What is compared.
        better_by: By how much the mean of `one` is better; negative if it is worse.
        low: The lower end of the confidence interval of `better_by`; NaN where there is one seed.
        high: Its upper end.
        level: Of the interval, before it is widened.
        seeds: How many values of each are compared.
        paired: Whether seed by seed.
        comparisons: For how many comparisons the interval is widened, by Bonferroni's rule.
        spread: The standard deviation of the differences within a seed, or, unpaired, of a value.
    """

    one: str
    other: str
    metric: str
    better_by: float
    low: float
    high: float
    level: float
    seeds: tuple[int, int]
    paired: bool
    comparisons: int
    spread: float

    @property
    def exceeds_noise(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0

    @property
    def seeds_needed(self) -> int | None:
        """How many seeds would tell a difference of this size from none in four cases of five.

        None if more than 100,000, or unknown.
        """
        alpha = (1 - self.level) / self.comparisons
        return _seeds_needed(abs(self.better_by), self.spread, alpha, self.paired)

    def __str__(self) -> str:
        count = f"{self.seeds[0]}" if self.paired else " and ".join(map(str, self.seeds))
        seeds = f"{count} seed{'s' * (count != '1')}"
        if self.low != self.low:
            return (
                f"{self.one} and {self.other}: {self.metric} differs by {abs(self.better_by):.2g}, "
                f"but {seeds} tell{'s' * (count == '1')} nothing of seed noise: take 8 or more"
            )
        sign = -1 if self.exceeds_noise and self.better_by < 0 else 1
        low, high = sorted((sign * self.low, sign * self.high))
        digits = _digits(high - low, abs(self.better_by))
        widened = f", widened for {self.comparisons} comparisons" if self.comparisons > 1 else ""
        interval = f"{100 * self.level:g} % interval {low:.{digits}f} to {high:.{digits}f}{widened}"
        if self.exceeds_noise:
            first, second = (self.one, self.other)[::sign]
            by = f"{abs(self.better_by):.{digits}f}"
            return (
                f"{first} beats {second} by {by} in {self.metric} ({interval}, {seeds}): more than "
                "seed noise"
            )
        if self.better_by == 0 and self.low == self.high:
            more = "they are equal"
        elif self.seeds_needed is None:
            more = f"not even {_MOST_SEEDS:,} would tell: take either"
        else:
            more = f"about {_rounded(self.seeds_needed):,} would tell"
        return (
            f"{self.one} and {self.other} are not told apart by {seeds} ({self.metric} differs by "
            f"{self.better_by:.{digits}f}, {interval}): {more}"
        )


def _digits(width: float, size: float) -> int:
    """Decimals that show the ends of an interval to two digits, and what lies in it to one."""
    shown = [1 - math.floor(math.log10(width))] if width > 0 else [4]
    if size > 0:
        shown.append(-math.floor(math.log10(size)))
    return min(max(0, *shown), 8)


def _rounded(count: int) -> int:
    """To two digits: more would claim a precision that a guess does not have."""
    unit = int(10 ** max(0, len(str(count)) - 2))
    return round(count / unit) * unit


def difference(
    one: Mapping[int, float],
    other: Mapping[int, float],
    *,
    falls: bool = True,
    names: tuple[str, str] = ("the first", "the second"),
    metric: str = "the metric",
    level: float = 0.95,
    comparisons: int = 1,
) -> Difference:
    """By how much one setting is better than another, and whether that is more than seed noise.

    Over the n ≥ 2 seeds that both have, Student's interval of the mean difference within a seed, d
    ± t · s_d/√n; where they share fewer than two seeds, Welch's interval of the difference of the
    means. It is widened to 1 - (1 - level)/comparisons (Bonferroni), so that with probability
    `level` all of so many intervals hold.

    How many seeds would decide: the least n for which the test of this interval finds, with
    probability 0.8, a true difference as large as the one that was found, T following Student's
    noncentral distribution with noncentrality |d|·√n/s_d (Welch: of n seeds each, |d|·√(n/2)/s).
    The difference that was found is itself a guess, so it is a rough number.

    Args:
        one: The metric by seed.
        other: Likewise.
        falls: Whether lower values are better.
        names: What they are called.
        metric: What is compared.
        level: Of the confidence interval.
        comparisons: How many such intervals are looked at together.

    Raises:
        RunError: One of them has no values.

    Source:
        Student, Biometrika 1908; Welch, "The generalization of Student's problem", Biometrika 1947;
        Cohen, "Statistical power analysis for the behavioral sciences", 1988, chapter 2; pairing by
        seed: Bouthillier et al., "Accounting for variance in machine learning benchmarks", MLSys
        2021.
    """
    if not one or not other:
        empty = names[0] if not one else names[1]
        raise RunError(f"{empty} has no finished run with {metric}: there is nothing to compare")
    sign = -1.0 if falls else 1.0
    shared = sorted(one.keys() & other.keys())
    paired = len(shared) > 1 or one.keys() == other.keys()
    alpha = (1 - level) / comparisons
    if paired:
        d = sign * np.array([one[seed] - other[seed] for seed in shared])
        n, mean = len(d), float(d.mean())
        freedom, spread = n - 1.0, float(d.std(ddof=1)) if n > 1 else math.nan
        error, seeds = spread / math.sqrt(n), (n, n)
    else:
        a, b = (sign * np.array(list(values.values())) for values in (one, other))
        mean, seeds = float(a.mean() - b.mean()), (len(a), len(b))
        freedom, spread, error = _welch(a, b)
    half = _student(1 - alpha / 2, freedom) * error if error == error else math.nan
    return Difference(
        *names, metric, mean, mean - half, mean + half, level, seeds, paired, comparisons, spread
    )


def _welch(a: Float64Array, b: Float64Array) -> tuple[float, float, float]:
    """Degrees of freedom, deviation of a value, and standard error of the difference of means."""
    if min(len(a), len(b)) < 2:
        return math.nan, math.nan, math.nan
    u, v = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    spread = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    if u + v == 0:
        return float(len(a) + len(b) - 2), 0.0, 0.0
    freedom = (u + v) ** 2 / (u**2 / (len(a) - 1) + v**2 / (len(b) - 1))
    return float(freedom), spread, math.sqrt(u + v)


def _seeds_needed(d: float, spread: float, alpha: float, paired: bool) -> int | None:
    """The least number of seeds with which the test has the power POWER; see `difference`."""
    if not d > 0 or spread != spread:
        return None
    if spread == 0:
        return 2
    from scipy.special import ndtri

    effect = d / spread / (1 if paired else math.sqrt(2))
    rough = float((ndtri(1 - alpha / 2) + ndtri(POWER)) / effect) ** 2
    if rough > _MOST_SEEDS:
        return None
    n = max(2, math.floor(rough))
    while n < 1000 and _power(n, effect, alpha, paired) < POWER:
        n += 1
    return n


def _power(n: int, effect: float, alpha: float, paired: bool) -> float:
    from scipy.stats import nct

    freedom, shift = (n - 1 if paired else 2 * n - 2), effect * math.sqrt(n)
    return float(nct.sf(_student(1 - alpha / 2, freedom), freedom, shift))
