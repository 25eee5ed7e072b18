"""What seeds tell, against SciPy and against simulations."""

import numpy as np
import pytest
from scipy import stats

from steepest.errors import DataError, RecipeError, RunError
from steepest.sweeps import difference, mean_interval
from steepest.sweeps.statistics import mean_intervals


def by_seed(values, first=0):
    return dict(enumerate(map(float, values), first))


def test_of_few_values_it_is_students_interval_and_of_one_none():
    values = [0.3, 0.1, 0.25, 0.7]
    found, expected = mean_interval(values), stats.ttest_1samp(values, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert mean_interval(values) == found
    alone = mean_interval([0.5])
    assert alone.mean == 0.5
    assert np.isnan([alone.low, alone.high]).all()


@pytest.mark.parametrize(("n", "draw"), [(8, "normal"), (16, "exponential"), (4, "normal")])
def test_intervals_hold_the_true_mean_about_as_often_as_they_say(n, draw):
    """The plain percentile interval does 88, 89 and 81 times in 100."""
    rng = np.random.default_rng(1)
    values = getattr(rng, draw)(size=(2000, n))
    low, high = mean_intervals(values)
    truth = {"normal": 0.0, "exponential": 1.0}[draw]
    share = ((low <= truth) & (truth <= high)).mean()
    assert {"normal": 0.93, "exponential": 0.9}[draw] < share < 0.97


def test_a_skewed_sample_has_a_skewed_interval():
    found = mean_interval([0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 5.0])
    assert found.high - found.mean > 1.3 * (found.mean - found.low)


def test_runs_with_the_same_seeds_are_compared_seed_by_seed():
    rng = np.random.default_rng(0)
    of_seed = rng.normal(0, 1, 16)  # the split, which both share
    one, other = of_seed + rng.normal(0, 0.01, 16), of_seed + 0.05 + rng.normal(0, 0.01, 16)
    found = difference(
        by_seed(one), by_seed(other), names=("lr = 0.1", "lr = 0.03"), metric="val_loss"
    )
    expected = stats.ttest_rel(other, one).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.exceeds_noise
    assert found.paired
    assert str(found) == (
        f"lr = 0.1 beats lr = 0.03 by {found.better_by:.3f} in val_loss (95 % interval "
        f"{found.low:.3f} to {found.high:.3f}, 16 seeds): more than seed noise"
    )
    apart = difference(by_seed(one), by_seed(other, first=100))
    welch = stats.ttest_ind(other, one, equal_var=False).confidence_interval()
    assert (apart.low, apart.high) == pytest.approx((welch.low, welch.high))
    assert not apart.paired
    assert "not told apart by 16 and 16 seeds" in str(apart)


def test_the_worse_of_two_is_named_second():
    worse = difference(by_seed([0.5, 0.51, 0.5]), by_seed([0.9, 0.9, 0.91]), falls=False)
    assert str(worse).startswith("the second beats the first by 0.40")
    assert worse.better_by < 0


def test_so_many_seeds_would_tell_in_four_cases_of_five():
    rng = np.random.default_rng(0)
    found = difference(by_seed([0.0, 0.1, 0.3, 0.2]), by_seed([0.1, 0.1, 0.2, 0.3]))
    n, effect = found.seeds_needed, found.better_by / found.spread
    assert n > 99
    assert str(found).endswith(f"about {float(f'{n:.2g}'):.0f} would tell")
    draws = rng.normal(effect, 1, (4000, n))
    told = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert told.mean() == pytest.approx(0.8, abs=0.03)
    fewer = stats.ttest_1samp(draws[:, : n // 2], 0, axis=1).pvalue < 0.05
    assert fewer.mean() < 0.6


def test_more_comparisons_widen_the_interval():
    rng = np.random.default_rng(0)
    one, other = by_seed(rng.normal(0, 1, 8)), by_seed(rng.normal(1, 1, 8))
    alone, many = difference(one, other), difference(one, other, comparisons=9)
    t = stats.t.ppf([1 - 0.025, 1 - 0.025 / 9], 7)
    assert (many.high - many.low) / (alone.high - alone.low) == pytest.approx(t[1] / t[0])
    assert "widened for 9 comparisons" in str(many)
    assert many.seeds_needed > alone.seeds_needed


def test_what_cannot_be_told():
    assert "1 seed tells nothing of seed noise" in str(difference({0: 0.1}, {0: 0.2}))
    assert str(difference({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0})).endswith("they are equal")
    tiny = difference(by_seed([0, 1, 2, 3 + 1e-9]), by_seed([3, 2, 1, 0]))
    assert str(tiny).endswith("not even 100,000 would tell: take either")
    with pytest.raises(RunError, match="the second has no finished run with the metric"):
        difference({0: 0.1}, {})
    with pytest.raises(DataError, match="one or more finite numbers"):
        mean_interval([0.1, float("nan")])
    with pytest.raises(RecipeError, match=r"level must be between 0 and 1, as .*, but is 95"):
        mean_interval([0.1], level=95)
