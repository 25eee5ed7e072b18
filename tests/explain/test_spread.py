"""Pictures of initialisation show what was measured, and measure what theory says."""

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

import steepest as sp
from steepest.explain import initialisation_spread, plot_spread, plot_update_ratios, spread_figure
from steepest.nn.linear import INITIALISERS


@pytest.fixture(scope="module")
def spread():
    rng = np.random.default_rng(0)
    x = 30 + 20 * rng.normal(size=(300, 50))
    return initialisation_spread((x, np.arange(300) % 3), hidden=(80,) * 4, activation="relu")


def of(spread, scheme, scaling, quantity):
    some = spread.filter((pl.col("scheme") == scheme) & (pl.col("scaling") == scaling))
    return some[quantity].to_numpy()


def test_he_keeps_the_spread_of_rectified_layers_and_others_do_not(spread):
    he = of(spread, "he", "standardised", "activation_std")
    assert 0.4 < he[-1] / he[0] < 2.5
    # xavier loses a factor of sqrt(2) in each layer; normal gains sqrt(80 / 2) in each.
    xavier = of(spread, "xavier", "standardised", "activation_std")
    assert xavier[-1] / xavier[0] == pytest.approx(2**-1.5, rel=0.5)
    normal = of(spread, "normal", "standardised", "activation_std")
    assert normal[-1] / normal[0] == pytest.approx(40**1.5, rel=0.6)
    assert (of(spread, "zeros", "raw", "activation_std") == 0).all()


def test_raw_inputs_reach_further_than_standardised_ones(spread):
    raw, scaled = (of(spread, "he", s, "activation_std")[0] for s in ("raw", "standardised"))
    assert raw > 10 * scaled


def test_lines_are_the_numbers(spread):
    ax = plot_spread(spread, "activation_std", "raw", Figure().subplots())
    assert [line.get_label() for line in ax.lines] == [
        "xavier",
        "he",
        "normal",
        "uniform",
        "zeros",
        "ones",
    ]
    assert ax.lines[1].get_ydata().tolist() == of(spread, "he", "raw", "activation_std").tolist()
    assert len({(line.get_color(), line.get_marker()) for line in ax.lines}) == 6
    assert len(spread_figure(spread).axes) == 4


def test_all_schemes_can_be_drawn_together(spread):
    more = initialisation_spread(
        (np.eye(6), np.arange(6) % 2), hidden=(4,), schemes=tuple(INITIALISERS)
    )
    ax = plot_spread(more, "activation_std", "raw", Figure().subplots())
    assert [line.get_label() for line in ax.lines] == [*INITIALISERS]


def test_update_ratios_are_those_of_the_run(blobs):
    run = sp.train(None, blobs, epochs=4, log_every=5, hidden=(8,), progress="none")
    ax = plot_update_ratios(run.layers, Figure().subplots())
    names = run.layers["name"].unique(maintain_order=True).to_list()
    assert len(names) == 2
    lines = {line.get_label(): line for line in ax.lines}
    for name in names:
        some = run.layers.filter(pl.col("name") == name)
        assert lines[name].get_ydata().tolist() == some["update_ratio"].to_list()


def test_unknown_schemes_are_told():
    with pytest.raises(sp.SteepestError, match="unknown initialisation 'xaver'"):
        initialisation_spread("iris", schemes=("xaver",))
