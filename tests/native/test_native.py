"""The extension's own arithmetic: the order of rows, and its functions to 4 units in the last place."""

import subprocess
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

import steepest as sp
from steepest.engine.native import extension
from steepest.random import Purpose, permutation

native = extension()
pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built here")


def instruction_sets():
    """Those that this machine runs."""
    names = []
    for name in ("x86-64-v2", "x86-64-v3", "x86-64-v4", "neon") if native else ():
        try:
            names.append(native.isa(name))
        except RuntimeError:
            continue
    return names


@pytest.mark.parametrize("isa", instruction_sets())
@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_is_that_of_the_random_module(isa, size, seed, step):
    order = np.empty(size, dtype=np.uint32)
    native.permutation(seed, int(Purpose.SHUFFLE), step, order, isa)
    assert np.array_equal(order, permutation(size, seed, Purpose.SHUFFLE, step))


def test_equal_upper_halves_of_keys_are_put_in_order_by_the_lower():
    # Among two million keys some hundred pairs share their upper 32 bits.
    order = np.empty(2_000_000, dtype=np.uint32)
    native.permutation(5, int(Purpose.SHUFFLE), 1, order)
    assert np.array_equal(order, permutation(len(order), 5, Purpose.SHUFFLE, 1))


def units_in_the_last_place(found, exact):
    rounded = exact.astype(np.float32)
    return np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(rounded)).astype(np.float64)


GRID = np.concatenate(
    [
        np.linspace(-110, 95, 200_000),
        np.linspace(-5, 5, 200_000),
        np.geomspace(1e-40, 1, 50_000),
        -np.geomspace(1e-40, 1, 50_000),
    ]
).astype(np.float32)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize(
    ("which", "exact"), [("EXP", np.exp), ("EXPM1", np.expm1), ("TANH", np.tanh), ("ERF", erf)]
)
def test_functions_are_within_4_units_in_the_last_place(isa, which, exact):
    found = np.empty_like(GRID)
    native.function(native.Function[which], GRID, found, isa)
    with np.errstate(over="ignore", under="ignore"):
        reference = exact(GRID.astype(np.float64))
        representable = np.abs(reference) < np.finfo(np.float32).max
        errors = units_in_the_last_place(found[representable], reference[representable])
    assert errors.max() <= 4
    assert np.isinf(found[~representable]).all()


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize(("which", "exact"), [("COS_OF_TURNS", np.cos), ("SIN_OF_TURNS", np.sin)])
def test_periodic_functions_are_within_4_units_in_the_last_place(isa, which, exact):
    turns = np.concatenate([GRID, GRID * 1000, [0, 0.25, 0.5, 0.75, 1, -0.25] * 16]).astype("f")
    found = np.empty_like(turns)
    native.function(native.Function[which], turns, found, isa)
    rest = turns.astype(np.float64) - np.round(turns.astype(np.float64))
    reference = exact(2 * np.pi * rest)
    # Where the reference is nothing but its own rounding of pi, the result is 0.
    assert np.abs(found[np.abs(reference) < 1e-15]).max() <= 1e-15
    some = np.abs(reference) >= 1e-15
    assert units_in_the_last_place(found[some], reference[some]).max() <= 4


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_no_angle(isa, value):
    x, y = np.full(16, value, dtype=np.float32), np.zeros(16, dtype=np.float32)
    for which in ("COS_OF_TURNS", "SIN_OF_TURNS"):
        native.function(native.Function[which], x, y, isa)
        assert np.isnan(y).all()


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("which", ["EXP", "EXPM1", "TANH", "ERF"])
def test_what_is_not_a_number_stays_so(isa, which):
    x, y = np.full(16, np.nan, dtype=np.float32), np.zeros(16, dtype=np.float32)
    native.function(native.Function[which], x, y, isa)
    assert np.isnan(y).all()


@pytest.mark.parametrize("isa", instruction_sets())
def test_infinities_have_their_limits(isa):
    x = np.array([np.inf, -np.inf] * 8, dtype=np.float32)
    for which, expected in (
        ("EXP", [np.inf, 0]),
        ("EXPM1", [np.inf, -1]),
        ("TANH", [1, -1]),
        ("ERF", [1, -1]),
    ):
        y = np.zeros(16, dtype=np.float32)
        native.function(native.Function[which], x, y, isa)
        assert y[:2].tolist() == expected


def test_the_environment_forces_an_instruction_set():
    code = "import steepest.extension as e; print(e.extension().isa(e.forced_isa()))"
    lowest = instruction_sets()[0]
    for asked in (lowest, "z80"):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={"STEEPEST_ISA": asked, "PATH": ""},
            check=False,
        )
        assert ended.stdout.strip() == (lowest if asked == lowest else "")
        assert (asked == lowest) or "not z80" in ended.stderr


def test_rows_keep_their_arrays_alive_and_take_no_other_types():
    values, targets = np.ones((4, 3), dtype=np.float32), np.zeros(4, dtype=np.int64)
    kept = [weakref.ref(array) for array in (values, targets)]
    given = {
        "rows": None,
        "labels": None,
        "weights": None,
        "samples": 4,
        "offset": None,
        "factor": None,
        "shift": 0.0,
    }
    rows = native.Rows(values, targets=targets, **given)
    with pytest.raises(TypeError):  # what a conversion makes is gone when the constructor returns
        native.Rows(values, targets=targets.astype(np.int32), **given)
    with pytest.raises(ValueError, match="uint8 or float32"):
        native.Rows(values.astype(np.float64), targets=targets, **given)
    del values, targets
    assert all(array() is not None for array in kept)
    del rows
    assert all(array() is None for array in kept)


def test_rows_of_a_mapped_file_that_are_not_aligned_give_the_bits_of_those_in_memory(tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 27)).astype(np.float32)
    y = np.arange(80) % 2
    np.savez(tmp_path / "rows.npz", X=x, y=y)
    mapped = sp.load_data(tmp_path / "rows.npz").train.inputs
    assert not mapped.flags.aligned
    settings = {"hidden": (5,), "optimizer": "sgd", "engine": "native", "epochs": 2}
    ours, theirs = (
        sp.train(None, data, **settings, progress="none").history["val_loss"].to_list()
        for data in (tmp_path / "rows.npz", (x, y))
    )
    assert ours == theirs
